"""`make verify REGION=...`: does a deployed stack work? It asks AWS and changes nothing."""
