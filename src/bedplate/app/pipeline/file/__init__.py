"""What a pipeline file says: read, checked and ordered before anything runs."""
