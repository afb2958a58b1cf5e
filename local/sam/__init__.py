"""The functions in a container, by `sam local`, beside the local stack."""
