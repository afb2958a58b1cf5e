"""The docs as a site, and how a release is made."""
