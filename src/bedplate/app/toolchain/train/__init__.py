"""Supervision of a training gang: checks before it starts, restarts while it runs, and what it was worth."""
