"""Between text and tokens: codec, chat template, control tokens, and tokens back into text."""
