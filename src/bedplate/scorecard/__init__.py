"""Is it good, and what limits it?"""
