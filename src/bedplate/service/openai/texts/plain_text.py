"""Control tokens that are written out in a message stay text.

A message that contains `<|im_end|>` must not end its own turn and open one for the system. A tokenizer recognises control
tokens anywhere in a text, so the text of a message is cut inside of each one, the cuts travel through the chat template as
marks, and the pieces between them are encoded one by one: no piece holds the control token. A prompt without marks is
encoded in one piece, exactly as transformers does it.

Noncharacters of Unicode frame a mark, and a number that is drawn for each request keeps clients from writing one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any


class ControlTokenGuard:
    """Marks the control tokens in one request's messages, and cuts the rendered prompt at the marks.

    Args:
        control_tokens: The texts to guard against.
    """

    def __init__(self, control_tokens: Iterable[str]) -> None:
        self._mark = f"\ufdd0{secrets.token_hex(8)}\ufdd1"
        texts = sorted((re.escape(text) for text in control_tokens if text), key=len, reverse=True)
        self._pattern = re.compile("|".join(texts)) if texts else None

    def marked(self, value: Any) -> Any:
        """`value` with marks in all its texts; keys of objects are left alone."""
        if isinstance(value, str):
            return value if self._pattern is None else self._pattern.sub(self._cut, value)
        if isinstance(value, dict):
            return {name: self.marked(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.marked(item) for item in value]
        return value

    def _cut(self, found: re.Match[str]) -> str:
        text = found[0]
        return f"{text[0]}{self._mark}{text[1:]}"

    def pieces(self, prompt: str) -> list[str]:
        """The prompt, cut at the marks."""
        return prompt.split(self._mark)
