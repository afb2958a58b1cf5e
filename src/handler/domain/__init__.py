"""What the product knows and decides: no AWS, no HTTP, no clock, no environment."""
