"""Texts and their token shards."""
