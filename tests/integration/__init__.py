"""The whole Lambda handler over real sockets: scenarios, outcomes, faults on either side."""
