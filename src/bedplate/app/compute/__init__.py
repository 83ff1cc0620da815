"""Use cases of compute."""
