"""bedplate: the plate under large models."""

__version__ = "0.1.0"
