"""The story of a run, told over the domain's ports."""
