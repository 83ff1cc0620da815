"""Gangs on other machines: one agent per node, behind a small transport. Ray is the first transport."""
