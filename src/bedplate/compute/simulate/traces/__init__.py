"""Traces of jobs: who asked for what, when, and how long it ran. One reader a format; `reading.py` tells formats apart."""
