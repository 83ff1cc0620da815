"""One request between the event loop and the engine.

The engine's stream blocks, so a thread reads it and hands each token to the loop. However the request ends, a client that
went away included, the engine is told to stop working on it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from bedplate.core.errors import BedplateError
from bedplate.core.generation import FinishReason, GeneratedToken, GenerationEngine, GenerationRequest
from bedplate.service.openai.codec import TextCodec
from bedplate.service.openai.detokenise import TextStream
from bedplate.service.openai.errors import ApiError, from_engine
from bedplate.service.openai.metrics import DoorMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    """A piece of an answer; the last one carries the reason."""

    text: str
    tokens: tuple[int, ...]
    cached_tokens: int
    finish: str | None
    """`stop` or `length`."""


class Generation:
    """Runs one request.

    Args:
        engine: Who generates.
        codec: The model's tokenizer.
        metrics: Where latencies are noted.
        request: Prompt and settings.
        stop: Stop strings.

    Raises:
        ApiError: The engine refuses the request.
    """

    def __init__(
        self,
        engine: GenerationEngine,
        codec: TextCodec,
        metrics: DoorMetrics,
        request: GenerationRequest,
        stop: tuple[str, ...],
    ) -> None:
        self.request = request
        self._engine, self._metrics = engine, metrics
        self._text = TextStream(codec, stop)
        self._arrived_s = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[GeneratedToken] = asyncio.Queue()
        try:
            stream = engine.submit(request)
        except BedplateError as error:
            metrics.requests.labels("refused").inc()
            raise from_engine(error) from error
        threading.Thread(target=self._pump, args=(stream,), name=f"request-{request.id}", daemon=True).start()

    def cancel(self) -> None:
        """Tell the engine that nobody waits for the rest; harmless when it has ended."""
        self._engine.cancel(self.request.id)

    def _pump(self, stream: Iterator[GeneratedToken]) -> None:
        for token in stream:
            try:
                self._loop.call_soon_threadsafe(self._queue.put_nowait, token)
            except RuntimeError:  # the loop is closed: the server is gone
                return

    async def chunks(self) -> AsyncGenerator[TextChunk]:
        """Pieces of the answer as they become certain.

        Raises:
            ApiError: The request failed, was too slow, or the server is going down.
        """
        outcome, heard_s = "cancelled", self._arrived_s
        try:
            while True:
                token = await self._queue.get()
                heard_s = self._note_latency(token, heard_s)
                chunk = self._chunk(token)
                if chunk.finish is not None:
                    outcome = chunk.finish
                yield chunk
                if chunk.finish is not None:
                    return
        except ApiError as error:
            outcome = error.code or "error"
            raise
        finally:
            self.cancel()
            self._metrics.requests.labels(outcome).inc()

    def _note_latency(self, token: GeneratedToken, heard_s: float) -> float:
        now_s = time.perf_counter()
        if token.token is not None:
            is_first = heard_s == self._arrived_s
            (self._metrics.first_token_s if is_first else self._metrics.next_token_s).observe(now_s - heard_s)
        return now_s

    def _chunk(self, token: GeneratedToken) -> TextChunk:
        _raise_for(token)
        text = "" if token.token is None else self._text.add(token.token)
        finish = "stop" if self._text.is_stopped else None
        if finish is None and token.finish is not None:
            text += self._text.finish()
            finish = "stop" if self._text.is_stopped else token.finish.value
        tokens = () if token.token is None else (token.token,)
        return TextChunk(text=text, tokens=tokens, cached_tokens=token.cached_tokens, finish=finish)


def _raise_for(token: GeneratedToken) -> None:
    if token.finish is FinishReason.ERROR:
        raise ApiError(500, token.message, kind="server_error", code="generation_failed")
    if token.finish is FinishReason.DEADLINE:
        raise ApiError(504, "the request took longer than this server allows", kind="server_error", code="timeout")
    if token.finish is FinishReason.CANCELLED:
        raise ApiError(503, token.message or "the request was cancelled", kind="server_error", code="cancelled")
