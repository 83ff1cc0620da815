"""Answers as server-sent events. A stream that fails ends with an error event and without `[DONE]`: its status is sent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bedplate.service.openai.answers.answer import Answer
from bedplate.service.openai.answers.choices import Choices
from bedplate.service.openai.errors import ApiError, internal_error
from bedplate.service.openai.requests.schema import StreamOptions

_log = logging.getLogger(__name__)


class EventStream(StreamingResponse):
    """A response of server-sent events; however it ends, also before its first event, the engine stops working on it."""

    def __init__(self, answer: Answer, choices: Choices, options: StreamOptions) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(stream_events(answer, choices, options), media_type="text/event-stream", headers=headers)
        self._choices = choices

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._choices.cancel()


async def stream_events(answer: Answer, choices: Choices, options: StreamOptions) -> AsyncGenerator[bytes]:
    """The events of an answer."""
    try:
        if answer.plan.is_chat:
            for choice in answer.choices:
                yield _event(answer, options, choice.opening())
        async with aclosing(choices.chunks()) as chunks:
            async for index, chunk in chunks:
                choice = answer.choices[index]
                if chunk.prompt_logprobs:  # of a long prompt: too much work for the event loop
                    piece = await asyncio.to_thread(choice.piece, chunk)
                else:
                    piece = choice.piece(chunk)
                if piece is not None:
                    yield _event(answer, options, piece)
        if options.include_usage:
            yield _server_sent(answer.event() | {"usage": answer.usage()})
        yield b"data: [DONE]\n\n"
    except ApiError as error:
        yield _server_sent(error.body())
    except Exception as error:  # a fault of ours: its client must not take what it has for the complete answer
        _log.exception("a stream failed")
        yield _server_sent(internal_error(error).body())


def _event(answer: Answer, options: StreamOptions, choice: dict[str, Any]) -> bytes:
    event = answer.event(choice)
    if options.include_usage:
        event["usage"] = answer.usage() if options.continuous_usage_stats else None
    return _server_sent(event)


def _server_sent(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
