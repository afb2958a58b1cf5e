"""Hand-written stand-ins for the ports of `handler.instances.ports`."""
