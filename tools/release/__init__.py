"""`make release`: check, build, describe what is shipped, and tag, in this order."""
