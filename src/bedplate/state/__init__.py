"""Runs, steps, events and metrics in SQL."""
