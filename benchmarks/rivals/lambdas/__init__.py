"""Handlers that run under AWS's runtime emulator beside the function."""
