"""Tests of single modules, without sockets except on loopback."""
