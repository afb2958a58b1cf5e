"""The outside: the backend's HTTP API, EC2 and its neighbours, DynamoDB, SSM."""
