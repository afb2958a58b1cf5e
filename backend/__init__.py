"""The reference backend: a small service that speaks contract section 1 the well-behaved way."""
