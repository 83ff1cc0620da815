"""Models in the cache."""
