"""The shapes in which tools print: keyed blocks, boxed tables, matrices, JSON, and quantities with units."""
