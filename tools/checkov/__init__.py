"""`make checkov`: what Bridgecrew's checkov finds in the transformed templates, each exception explained."""
