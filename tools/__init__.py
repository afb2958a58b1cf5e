"""What knows next to nothing of the product, and could stand by itself."""
