"""Spot cleanup: terminates what the Spot Optimizer backend has marked, and says so."""
