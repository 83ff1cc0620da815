"""Composition roots inside launched processes."""
