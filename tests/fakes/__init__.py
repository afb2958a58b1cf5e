"""Hand-written stand-ins for the ports of `handler.domain.ports`."""
