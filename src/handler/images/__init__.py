"""Clean up old images and snapshots: everything that only housekeeping needs."""
