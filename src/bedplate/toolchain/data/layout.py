"""Names inside a corpus folder; separate from what reads and writes them, so that settings can name them without numpy."""

from __future__ import annotations

TOKENS_PREFIX = "tokens-"
"""Token shards of one tokenizer are kept in a folder `tokens-<digest>` of the corpus that they were made from."""
DERIVED = (f"{TOKENS_PREFIX}*",)
"""What bedplate derives from a corpus and stores in it; not part of the corpus itself."""
