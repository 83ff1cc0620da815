"""Log-probabilities in OpenAI's two shapes: parallel lists for completions, one object per token for chats.

JSON has no infinity, so a token that the model rules out has OpenAI's -9999.0. A token that is a part of a character has no
text: completions name it `bytes:\\xe6\\xb2`, which also keeps the names in `top_logprobs` apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bedplate.core.generation import TokenLogprobs
from bedplate.service.openai.texts.codec import TextCodec

MIN_LOGPROB = -9999.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredToken:
    """A token of a prompt or an answer."""

    token: int
    logprobs: TokenLogprobs | None
    """None for a prompt's first token, which nothing predicts."""
    offset: int
    """Characters of the answer's text before it."""


@dataclass(slots=True, kw_only=True)
class CompletionLogprobs:
    """The `logprobs` object of a completion's choice, or of a part of it."""

    num_top: int
    codec: TextCodec
    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)

    def add(self, scored: Iterable[ScoredToken]) -> None:
        """Append tokens."""
        for item in scored:
            self.tokens.append(_name(self.codec, item.token))
            self.text_offset.append(item.offset)
            self.token_logprobs.append(None if item.logprobs is None else finite(item.logprobs.logprob))
            self.top_logprobs.append(None if item.logprobs is None else self._top(item.logprobs))

    def _top(self, logprobs: TokenLogprobs) -> dict[str, float] | None:
        if self.num_top == 0:
            return None
        top: dict[str, float] = {}
        for token, logprob in (*logprobs.top, (logprobs.token, logprobs.logprob)):
            top.setdefault(_name(self.codec, token), finite(logprob))
        return top

    def as_json(self) -> dict[str, Any]:
        """As OpenAI writes it."""
        return {
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs if self.num_top else None,
            "text_offset": self.text_offset,
        }


def chat_logprobs(codec: TextCodec, scored: Sequence[ScoredToken]) -> dict[str, Any]:
    """The `logprobs` object of a chat's choice or delta."""
    return {"content": [_chat_token(codec, item.logprobs) for item in scored if item.logprobs is not None], "refusal": None}


def _chat_token(codec: TextCodec, logprobs: TokenLogprobs) -> dict[str, Any]:
    top = [_chat_entry(codec, token, logprob) for token, logprob in logprobs.top]
    return _chat_entry(codec, logprobs.token, logprobs.logprob) | {"top_logprobs": top}


def _chat_entry(codec: TextCodec, token: int, logprob: float) -> dict[str, Any]:
    data = codec.token_bytes(token)
    text = _name(codec, token).removeprefix("bytes:") if _is_partial(data) else data.decode()
    return {"token": text, "logprob": finite(logprob), "bytes": list(data)}


def finite(logprob: float) -> float:
    """A number that JSON has."""
    return max(logprob, MIN_LOGPROB)


def _name(codec: TextCodec, token: int) -> str:
    data = codec.token_bytes(token)
    if _is_partial(data):
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
    return data.decode()


def _is_partial(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False
