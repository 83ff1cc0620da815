"""Fabrics: generators, files, failures, wiring checks, and the paths through them."""
