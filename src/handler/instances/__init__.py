"""Terminate what is marked: everything that only the termination job needs."""
