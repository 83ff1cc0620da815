"""The door's routes.

`/health` and `/metrics` say nothing about what is asked or answered and need no key; everything else does.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from bedplate.core.generation import GenerationEngine, GenerationRequest
from bedplate.service.openai.answers import Answer, EventStream
from bedplate.service.openai.authentication import check_key
from bedplate.service.openai.chat import ChatTemplate
from bedplate.service.openai.codec import TextCodec
from bedplate.service.openai.errors import ApiError, bad_request
from bedplate.service.openai.generation import Generation, TextChunk
from bedplate.service.openai.metrics import DoorMetrics
from bedplate.service.openai.schema import ChatBody, CompletionBody, read_body
from bedplate.service.openai.settings import ServerSettings


def create_server(engine: GenerationEngine, codec: TextCodec, settings: ServerSettings) -> FastAPI:
    """The ASGI application. It does not own the engine: whoever made it closes it."""
    door = FastAPI(title="bedplate", docs_url=None, redoc_url=None, openapi_url=None)
    desk = _Desk(engine, codec, settings)
    door.add_api_route("/health", desk.health, methods=["GET"])
    door.add_api_route("/metrics", desk.metrics_text, methods=["GET"])
    door.add_api_route("/v1/models", desk.models, methods=["GET"])
    door.add_api_route("/v1/models/{model:path}", desk.model, methods=["GET"])
    door.add_api_route("/v1/completions", desk.complete, methods=["POST"], response_model=None)
    door.add_api_route("/v1/chat/completions", desk.chat, methods=["POST"], response_model=None)
    door.add_exception_handler(ApiError, _api_error)
    door.add_exception_handler(HTTPException, _http_error)
    return door


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    return ApiError(error.status_code, message, kind="invalid_request_error").response()


class _Desk:
    def __init__(self, engine: GenerationEngine, codec: TextCodec, settings: ServerSettings) -> None:
        self._engine, self._codec, self._settings = engine, codec, settings
        self._template = ChatTemplate(codec)
        self._metrics = DoorMetrics(engine)

    async def health(self) -> dict[str, Any]:
        now = self._engine.statistics()
        return {"status": "ok", "running": now.running, "queued": now.queued}

    async def metrics_text(self) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def models(self, request: Request) -> dict[str, Any]:
        check_key(request, self._settings.api_key)
        return {"object": "list", "data": [self._card()]}

    async def model(self, request: Request, model: str) -> dict[str, Any]:
        check_key(request, self._settings.api_key)
        self._check_model(model)
        return self._card()

    async def complete(self, request: Request) -> Response:
        body = read_body(CompletionBody, await self._read(request))
        self._check_model(body.model)
        prompt = self._prompt_tokens(body.prompt)
        return await self._answer(request, body, prompt, max_tokens=body.max_tokens or 16)

    async def chat(self, request: Request) -> Response:
        body = read_body(ChatBody, await self._read(request))
        self._check_model(body.model)
        text = self._template.render([message.for_template() for message in body.messages])
        prompt = tuple(self._codec.encode(text, add_special_tokens=False))
        room = max(1, self._settings.context_tokens - len(prompt))
        return await self._answer(request, body, prompt, max_tokens=body.max_completion_tokens or body.max_tokens or room)

    async def _answer(
        self, http: Request, body: CompletionBody | ChatBody, prompt: tuple[int, ...], max_tokens: int
    ) -> Response:
        generation = Generation(
            self._engine,
            self._codec,
            self._metrics,
            GenerationRequest(
                id=uuid.uuid4().hex,
                prompt=prompt,
                max_new_tokens=max_tokens,
                sampling=body.sampling,
                stop_tokens=() if body.ignore_eos else self._codec.stop_tokens,
                deadline_s=self._settings.request_timeout,
            ),
            body.stop_strings,
        )
        answer = Answer(
            model=self._settings.model,
            is_chat=isinstance(body, ChatBody),
            num_prompt_tokens=len(prompt),
            with_token_ids=body.return_token_ids,
        )
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            return EventStream(answer, generation, with_usage=with_usage)
        chunks = await _collect(http, generation)
        for chunk in chunks:
            answer.count(chunk)
        return JSONResponse(answer.whole(chunks))

    def _prompt_tokens(self, prompt: str | list[int] | list[str] | list[list[int]]) -> tuple[int, ...]:
        if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
            prompt = prompt[0]
        if isinstance(prompt, str):
            return tuple(self._codec.encode(prompt, add_special_tokens=True))
        return tuple(prompt)  # type: ignore[arg-type]

    def _check_model(self, name: str) -> None:
        if name != self._settings.model:
            message = f"the model '{name}' is not served here; this server has '{self._settings.model}'"
            raise ApiError(404, message, kind="invalid_request_error", code="model_not_found", param="model")

    def _card(self) -> dict[str, Any]:
        return {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "bedplate",
            "max_model_len": self._settings.context_tokens,
        }

    async def _read(self, request: Request) -> bytes:
        """The body of a request that may come in, up to the limit."""
        check_key(request, self._settings.api_key)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._settings.max_body:
                message = f"the request is larger than {self._settings.max_body} bytes"
                raise ApiError(413, message, kind="invalid_request_error", code="request_too_large")
        if not body:
            raise bad_request("the request has no body")
        return bytes(body)


async def _collect(http: Request, generation: Generation) -> list[TextChunk]:
    """All chunks of an answer; stops when the client goes away."""

    async def collect() -> list[TextChunk]:
        async with aclosing(generation.chunks()) as chunks:
            return [chunk async for chunk in chunks]

    async def wait_gone() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    answer, gone = asyncio.create_task(collect()), asyncio.create_task(wait_gone())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ApiError(499, "the client went away", kind="invalid_request_error", code="client_gone")
        return answer.result()
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)
