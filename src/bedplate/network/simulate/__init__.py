"""Fabrics under load: max-min fair rates of streams, and what flows and links get from them."""
