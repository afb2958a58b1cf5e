"""The whole system on one machine: for the demo, for `make local`, and for the tests."""
