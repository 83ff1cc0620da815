"""Tasks as actors on a Ray cluster. The only place that imports ray."""
