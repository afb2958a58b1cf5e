"""Changes the product's code in small ways and looks whether the fast tests notice."""
