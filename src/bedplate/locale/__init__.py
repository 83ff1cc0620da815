"""Texts in English and Chinese."""
