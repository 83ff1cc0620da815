"""One run of a pipeline: its attempts, its lock, its end."""
