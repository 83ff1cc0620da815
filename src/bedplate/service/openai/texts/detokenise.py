"""Text out of a stream of tokens: complete characters only, and nothing of a stop string.

A character may span several tokens, and a token's text may depend on the one before it (a leading blank). So a window of
the last tokens is decoded with each new one, and what is new is passed on once it ends in a complete character; the next
window starts with the tokens of that character (the scheme of Hugging Face's text-generation-inference). Bytes that are no
character never complete one. After as many tokens as a character can have, the rest is passed on as it is but for its end,
and the window is kept short, so that the cost of a token stays constant.

Control tokens are not part of the text, but stop strings see them: `<|im_end|>` stops where that token is generated.
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.service.openai.texts.codec import TextCodec

_REPLACEMENT = "\ufffd"
_MAX_CHARACTER_BYTES = 4
"""In UTF-8 bytes, and so the most tokens of a character."""
_WINDOW = 4 * _MAX_CHARACTER_BYTES
"""Tokens of a window that is not yet complete before it is cut to half."""


class TextStream:
    """Turns one request's tokens into text.

    Args:
        codec: The model's tokenizer.
        stop: Strings that end the answer; they are not part of it.
    """

    def __init__(self, codec: TextCodec, stop: Sequence[str] = ()) -> None:
        self._codec, self._stop = codec, tuple(stop)
        self._window: list[int] = []
        self._emitted = 0
        """Characters of the window's text that were passed on."""
        self._context = 0
        """Tokens at the window's start whose text was passed on in full."""
        self._held = ""
        """The end of the text that may be the start of a stop string."""
        self._is_visible: list[bool] = []
        """Which characters of `_held` are text, and not of a control token."""
        self.is_stopped = False

    def add(self, token: int) -> str:
        """Text that the token makes certain; `is_stopped` is set once a stop string was met."""
        control = self._codec.control_tokens.get(token)
        if control is not None:
            return self._release(control, visible=False) if self._stop else ""
        self._window.append(token)
        now = self._codec.decode(self._window)
        if not now.endswith(_REPLACEMENT):
            new = now[self._emitted :]
            del self._window[: self._context]
            self._context = len(self._window)
            self._emitted = len(self._codec.decode(self._window))
        elif len(self._window) - self._context <= _MAX_CHARACTER_BYTES:
            new = ""
        else:
            new = self._add_incomplete()
        return self._release(new) if new else ""

    def _add_incomplete(self) -> str:
        """What is certain of tokens that should have completed a character, and did not."""
        if self._context:
            del self._window[: self._context]
            self._context = self._emitted = 0
        now = self._codec.decode(self._window)
        certain = len(now) - _uncertain_end(now)
        new, self._emitted = now[self._emitted : certain], max(self._emitted, certain)
        if len(self._window) > _WINDOW:
            pending = len(now) - self._emitted
            del self._window[: -_WINDOW // 2]
            self._emitted = max(0, len(self._codec.decode(self._window)) - pending)
        return new

    def finish(self) -> str:
        """What was still held back when the stream ended without a stop string."""
        if self.is_stopped:
            return ""
        now = self._codec.decode(self._window)
        if self._context and now.endswith(_REPLACEMENT):  # some decoders then spoil complete characters before it, too
            rest = self._codec.decode(self._window[self._context :])
        else:
            rest = now[self._emitted :]
        text = self._release(rest)
        if not self.is_stopped:
            text, self._held = text + self._shown(0, len(self._held)), ""
        return text

    def _release(self, text: str, *, visible: bool = True) -> str:
        if not self._stop:
            return text
        self._held += text
        self._is_visible += [visible] * len(text)
        found = [place for stop in self._stop if (place := self._held.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            return self._shown(0, min(found))
        kept = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        certain = len(self._held) - kept
        shown = self._shown(0, certain)
        self._held, self._is_visible = self._held[certain:], self._is_visible[certain:]
        return shown

    def _shown(self, start: int, end: int) -> str:
        pairs = zip(self._held[start:end], self._is_visible[start:end], strict=True)
        return "".join(character for character, visible in pairs if visible)


def _uncertain_end(text: str) -> int:
    """Characters at the end of `text` that may become others: bytes of a character that is not complete yet."""
    end = len(text)
    while end > 0 and len(text) - end < _MAX_CHARACTER_BYTES - 1 and text[end - 1] == _REPLACEMENT:
        end -= 1
    return len(text) - end


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a start of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)
