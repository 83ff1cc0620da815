"""Use cases of the network."""
