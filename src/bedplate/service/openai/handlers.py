"""What each route does.

`/health` and `/metrics` reveal nothing about requests or answers and need no key; everything else does. Anything slow
for a long body (parsing, rendering, encoding) runs in a thread, so that the streams of others keep flowing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from bedplate.core.generation import GenerationEngine, GenerationRequest
from bedplate.service.openai.access import check_access, check_content_type
from bedplate.service.openai.answers.answer import Answer
from bedplate.service.openai.answers.choices import Choices
from bedplate.service.openai.answers.event_stream import EventStream
from bedplate.service.openai.errors import ApiError, bad_request
from bedplate.service.openai.generation import Generation, TextChunk
from bedplate.service.openai.metrics import ServerMetrics
from bedplate.service.openai.requests.planning import PlannedAnswer, Planner
from bedplate.service.openai.requests.schema import ChatBody, CompletionBody, GenerationBody, read_body
from bedplate.service.openai.settings import ServerSettings
from bedplate.service.openai.shutdown import Shutdown
from bedplate.service.openai.texts.chat import ChatTemplate
from bedplate.service.openai.texts.codec import TextCodec

Body = TypeVar("Body", bound=GenerationBody)
_DISCARDED_BODIES = 8
"""A body that is too large is read on, up to so many times the limit: most clients read no answer before they have sent all."""


class Handlers:
    """The endpoints of one server."""

    def __init__(self, engine: GenerationEngine, codec: TextCodec, settings: ServerSettings, shutdown: Shutdown) -> None:
        self._engine, self._codec, self._settings, self._shutdown = engine, codec, settings, shutdown
        template = ChatTemplate(codec, allow_control_tokens=settings.control_tokens == "always")
        self._planner = Planner(codec, template, settings)
        self._metrics = ServerMetrics(engine)

    async def health(self) -> Response:
        """Whether requests are taken; 503 once the server stops, or its engine has ended."""
        now = self._engine.statistics()
        status = "stopping" if self._shutdown.is_begun else "ok" if now.is_open else "engine ended"
        body = {"status": status, "running": now.running, "queued": now.queued}
        return JSONResponse(body, status_code=200 if status == "ok" else 503)

    async def metrics_text(self) -> Response:
        """Metrics in Prometheus' format."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def models(self, request: Request) -> dict[str, Any]:
        """The one model that is served."""
        check_access(request, self._settings.api_key)
        return {"object": "list", "data": [self._card()]}

    async def model(self, request: Request, model: str) -> dict[str, Any]:
        """The model by name."""
        check_access(request, self._settings.api_key)
        self._check_model(model)
        return self._card()

    async def complete(self, request: Request) -> Response:
        """`/v1/completions`."""
        return await self._answer(request, CompletionBody, self._planner.completion)

    async def chat(self, request: Request) -> Response:
        """`/v1/chat/completions`."""
        return await self._answer(request, ChatBody, self._planner.chat)

    async def _answer(self, http: Request, kind: type[Body], plan: Callable[[Body], PlannedAnswer]) -> Response:
        arrived_s = time.monotonic()
        check_access(http, self._settings.api_key)
        self._shutdown.check_new()
        check_content_type(http)
        raw = await self._read(http)
        body, planned = await asyncio.to_thread(self._prepare, raw, kind, plan)
        answer = Answer(model=self._settings.model, plan=planned, codec=self._codec)
        requests = [choice.request for choice in planned.choices]
        self._shutdown.check_new()

        def start(request: GenerationRequest) -> Generation:
            return self._start(request, planned.stop, time.monotonic() - arrived_s)

        choices = Choices(requests, start, self._settings.parallel_choices, lambda: self._engine.statistics().queued)
        if body.stream:
            return EventStream(answer, choices, body.stream_options)
        chunks = await _collect(http, choices, len(requests))
        return await asyncio.to_thread(lambda: JSONResponse(answer.complete(chunks)))

    def _prepare(self, raw: bytes, kind: type[Body], plan: Callable[[Body], PlannedAnswer]) -> tuple[Body, PlannedAnswer]:
        body = read_body(kind, raw)
        self._check_model(body.model)
        return body, plan(body)

    def _start(self, request: GenerationRequest, stop: tuple[str, ...], waited_s: float) -> Generation:
        if request.deadline_s is not None:  # counts from the arrival of the HTTP request, whenever its choices start
            request = replace(request, deadline_s=max(0.0, request.deadline_s - waited_s))
        generation = Generation(self._engine, self._codec, self._metrics, request, stop)
        self._shutdown.track(generation)
        return generation

    def _check_model(self, name: str) -> None:
        if name != self._settings.model:
            message = f"the model '{name}' is not served here; this server has '{self._settings.model}'"
            raise ApiError(404, message, code="model_not_found", param="model")

    def _card(self) -> dict[str, Any]:
        return {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "bedplate",
            "max_model_len": self._settings.context_tokens,
        }

    async def _read(self, request: Request) -> bytes:
        """The body, up to the limit."""
        limit, body, num_bytes = self._settings.max_body, bytearray(), 0
        async for part in request.stream():
            num_bytes += len(part)
            if num_bytes <= limit:
                body += part
            elif num_bytes > _DISCARDED_BODIES * limit:
                break
        if num_bytes > limit:
            raise ApiError(413, f"the request is larger than {limit} bytes", code="request_too_large")
        if not body:
            raise bad_request("the request has no body", code="invalid_json")
        return bytes(body)


async def _collect(http: Request, choices: Choices, num_choices: int) -> list[list[TextChunk]]:
    """All chunks of each choice; stops when the client disconnects."""

    async def collect() -> list[list[TextChunk]]:
        collected: list[list[TextChunk]] = [[] for _ in range(num_choices)]
        async with aclosing(choices.chunks()) as chunks:
            async for index, chunk in chunks:
                collected[index].append(chunk)
        return collected

    async def wait_gone() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    answer, gone = asyncio.create_task(collect()), asyncio.create_task(wait_gone())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ApiError(499, "the client disconnected", code="client_disconnected")
        return answer.result()
    finally:
        choices.cancel()
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)
