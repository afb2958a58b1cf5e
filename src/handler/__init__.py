"""Spot cleanup: terminates what the Spot Optimizer backend has marked, and says so."""

VERSION = "1.0.0"
"""The product's version: in the package, the User-Agent, each run's last line and the stack."""
