"""Long memory for KV blocks: tiers, checksums, eviction, and what survives a crash."""
