"""Text out of a stream of tokens: whole characters only, and nothing of a stop string.

A character may span several tokens, and a token's text may depend on the one before it (a leading blank). So a window of
tokens is decoded twice, with and without the new ones, and what is new is passed on once it ends in a whole character
(the scheme of Hugging Face's text-generation-inference). Text that may be the start of a stop string is held back.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.service.openai.codec import TextCodec


class TextStream:
    """Turns one request's tokens into text.

    Args:
        codec: The model's tokenizer.
        stop: Strings that end the answer; they are not part of it.
    """

    def __init__(self, codec: TextCodec, stop: Sequence[str] = ()) -> None:
        self._codec, self._stop = codec, tuple(stop)
        self._tokens: list[int] = []
        self._window_start = self._read = 0
        self._held = ""
        self.is_stopped = False

    def add(self, token: int) -> str:
        """Text that the token makes certain; `is_stopped` is set once a stop string was met."""
        self._tokens.append(token)
        before = self._codec.decode(self._tokens[self._window_start : self._read])
        now = self._codec.decode(self._tokens[self._window_start :])
        if now.endswith("\ufffd") or len(now) <= len(before):
            return ""
        self._window_start, self._read = self._read, len(self._tokens)
        return self._release(now[len(before) :])

    def finish(self) -> str:
        """What was still held back when the stream ended without a stop string."""
        if self.is_stopped:
            return ""
        before = self._codec.decode(self._tokens[self._window_start : self._read])
        now = self._codec.decode(self._tokens[self._window_start :])
        text = self._release(now[len(before) :])
        if not self.is_stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        text, self._held = self._held + text, ""
        found = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            return text[: min(found)]
        kept = max((_overlap(text, stop) for stop in self._stop), default=0)
        text, self._held = text[: len(text) - kept], text[len(text) - kept :]
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a start of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)
