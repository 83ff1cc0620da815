"""The shapes of answers: whole ones, and the events of streams."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bedplate.service.openai.errors import ApiError
from bedplate.service.openai.generation import Generation, TextChunk


@dataclass(slots=True, kw_only=True)
class Answer:
    """Builds what one request gets back; `is_chat` decides between the two shapes."""

    model: str
    is_chat: bool
    num_prompt_tokens: int
    with_token_ids: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    num_answer_tokens: int = 0
    cached_tokens: int = 0

    def count(self, chunk: TextChunk) -> None:
        """Note the tokens of a chunk for `usage`."""
        self.num_answer_tokens += len(chunk.tokens)
        self.cached_tokens = chunk.cached_tokens

    def whole(self, chunks: Sequence[TextChunk]) -> dict[str, Any]:
        """The answer in one piece."""
        text, finish = "".join(chunk.text for chunk in chunks), chunks[-1].finish
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if self.is_chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if self.with_token_ids:
            choice["token_ids"] = [token for chunk in chunks for token in chunk.tokens]
        return self._frame("chat.completion" if self.is_chat else "text_completion", [choice]) | {"usage": self.usage()}

    def piece(self, chunk: TextChunk) -> dict[str, Any]:
        """One event of a stream."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": chunk.finish, "logprobs": None}
        if self.is_chat:
            choice["delta"] = {"content": chunk.text} if chunk.text or chunk.finish is None else {}
        else:
            choice["text"] = chunk.text
        if self.with_token_ids:
            choice["token_ids"] = list(chunk.tokens)
        return self._event([choice])

    def opening(self) -> dict[str, Any]:
        """The first event of a chat stream: who speaks."""
        delta = {"role": "assistant", "content": ""}
        return self._event([{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}])

    def closing(self) -> dict[str, Any]:
        """The event with `usage`, which has no choices."""
        return self._event([]) | {"usage": self.usage()}

    def usage(self) -> dict[str, Any]:
        """Token counts."""
        return {
            "prompt_tokens": self.num_prompt_tokens,
            "completion_tokens": self.num_answer_tokens,
            "total_tokens": self.num_prompt_tokens + self.num_answer_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }

    def _event(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._frame("chat.completion.chunk" if self.is_chat else "text_completion", choices)

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        prefix = "chatcmpl" if self.is_chat else "cmpl"
        return {
            "id": f"{prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


async def stream_events(answer: Answer, generation: Generation, *, with_usage: bool) -> AsyncGenerator[bytes]:
    """Server-sent events of a stream; an error in its middle becomes an event, since the status is already sent."""
    try:
        if answer.is_chat:
            yield _server_sent(answer.opening())
        async with aclosing(generation.chunks()) as chunks:
            async for chunk in chunks:
                answer.count(chunk)
                if chunk.text or chunk.finish is not None or answer.with_token_ids:
                    yield _server_sent(answer.piece(chunk))
        if with_usage:
            yield _server_sent(answer.closing())
        yield b"data: [DONE]\n\n"
    except ApiError as error:
        yield _server_sent(error.body())


class EventStream(StreamingResponse):
    """A response of server-sent events; however it ends, also before its first event, the engine is told."""

    def __init__(self, answer: Answer, generation: Generation, *, with_usage: bool) -> None:
        events = stream_events(answer, generation, with_usage=with_usage)
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._generation.cancel()


def _server_sent(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
