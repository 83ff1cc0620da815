"""Loads for measuring a server: what its clients ask, and the messages about a run of them. No server, no client."""
