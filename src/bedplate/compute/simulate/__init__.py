"""What if: traces of requests replayed against placement policies."""
