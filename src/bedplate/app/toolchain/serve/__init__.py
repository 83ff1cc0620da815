"""Serving a model, and measuring it."""
