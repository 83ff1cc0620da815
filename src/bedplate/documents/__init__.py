"""Files that people write: YAML (and JSON, which is a part of it) to plain values, with the line of every key."""
