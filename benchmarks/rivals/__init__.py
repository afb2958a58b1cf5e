"""What the function is measured beside."""
