"""Runs the steps of a file: reading, ordering, state, resuming."""
