"""Where the bytes are, and how fast they arrive."""
