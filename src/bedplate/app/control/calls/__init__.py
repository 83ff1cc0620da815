"""What a caller who showed a token may ask: `api.py`, with rights (`access.py`), pages, views and explanations."""
