"""One choice of a request between the event loop and the engine.

The engine's stream blocks, so a thread reads it and hands each step to the loop. However the choice ends, a client that
disconnected included, the engine stops working on it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from bedplate.core.errors import BedplateError
from bedplate.core.generation import FinishReason, GeneratedToken, GenerationEngine, GenerationRequest, TokenLogprobs
from bedplate.service.openai.errors import ApiError, from_engine, shutting_down
from bedplate.service.openai.metrics import ServerMetrics
from bedplate.service.openai.texts.codec import TextCodec
from bedplate.service.openai.texts.detokenise import TextStream


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    """A piece of a choice; the last one carries the reason."""

    text: str
    tokens: tuple[int, ...]
    cached_tokens: int
    finish: str | None
    """`stop` or `length`."""
    logprobs: TokenLogprobs | None = None
    """Of the token, or of the stop token that ended the choice."""
    prompt_logprobs: tuple[TokenLogprobs | None, ...] | None = None
    """In the first chunk only."""


class Generation:
    """Runs one choice.

    Args:
        engine: Generates the tokens.
        codec: The model's tokenizer.
        metrics: Takes the latencies.
        request: Prompt and settings.
        stop: Stop strings.

    Raises:
        ApiError: The engine refuses the request.
    """

    def __init__(
        self,
        engine: GenerationEngine,
        codec: TextCodec,
        metrics: ServerMetrics,
        request: GenerationRequest,
        stop: tuple[str, ...],
    ) -> None:
        self.request = request
        self._engine, self._metrics = engine, metrics
        self._text = TextStream(codec, stop)
        self._arrived_s = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[GeneratedToken] = asyncio.Queue()
        self._is_shut_down = False
        try:
            stream = engine.submit(request)
        except BedplateError as error:
            metrics.requests.labels("refused").inc()
            raise from_engine(error) from error
        threading.Thread(target=self._pump, args=(stream,), name=f"request-{request.id}", daemon=True).start()

    def cancel(self) -> None:
        """Tell the engine that the rest is not wanted; harmless once it has ended."""
        self._engine.cancel(self.request.id)

    def shut_down(self) -> None:
        """End the choice with an error for the client: the server stops."""
        self._is_shut_down = True
        self.cancel()

    def _pump(self, stream: Iterator[GeneratedToken]) -> None:
        for step in stream:
            try:
                self._loop.call_soon_threadsafe(self._queue.put_nowait, step)
            except RuntimeError:  # the loop is closed: the server is gone
                return

    async def chunks(self) -> AsyncGenerator[TextChunk]:
        """Pieces of the choice as they become certain.

        Raises:
            ApiError: The request failed, was too slow, or the server is shutting down.
        """
        outcome, last_s = "cancelled", self._arrived_s
        try:
            while True:
                step = await self._queue.get()
                last_s = self._note_latency(step, last_s)
                chunk = self._chunk(step)
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

    def _note_latency(self, step: GeneratedToken, last_s: float) -> float:
        now_s = time.perf_counter()
        if step.token is not None:
            is_first = last_s == self._arrived_s
            (self._metrics.first_token_s if is_first else self._metrics.next_token_s).observe(now_s - last_s)
        return now_s

    def _chunk(self, step: GeneratedToken) -> TextChunk:
        self._raise_for(step)
        text = "" if step.token is None else self._text.add(step.token)
        finish = "stop" if self._text.is_stopped else None
        if finish is None and step.finish is not None:
            text += self._text.finish()
            finish = "stop" if self._text.is_stopped else step.finish.value
        return TextChunk(
            text=text,
            tokens=() if step.token is None else (step.token,),
            cached_tokens=step.cached_tokens,
            finish=finish,
            logprobs=step.logprobs,
            prompt_logprobs=step.prompt_logprobs,
        )

    def _raise_for(self, step: GeneratedToken) -> None:
        if step.finish is FinishReason.ERROR:
            raise ApiError(500, step.message, kind="server_error", code="generation_failed")
        if step.finish is FinishReason.DEADLINE:
            raise ApiError(504, "the request took longer than this server allows", kind="server_error", code="timeout")
        if step.finish is FinishReason.CANCELLED:
            if self._is_shut_down:
                raise shutting_down()
            raise ApiError(503, step.message or "the request was cancelled", kind="server_error", code="cancelled")
