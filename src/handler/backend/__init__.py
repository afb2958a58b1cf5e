"""The product's backend over HTTP."""
