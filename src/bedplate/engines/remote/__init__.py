"""Gangs on other machines: one agent a node, behind a small transport. Ray is the first transport."""
