"""Examine what keeps the function from working: everything that only the doctor needs."""
