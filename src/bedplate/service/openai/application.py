"""The API server's routes, and the shape of its errors."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from bedplate.core.generation import GenerationEngine
from bedplate.service.openai.errors import from_http, internal_error
from bedplate.service.openai.handlers import Handlers
from bedplate.service.openai.settings import ServerSettings
from bedplate.service.openai.shutdown import Shutdown
from bedplate.service.openai.texts.codec import TextCodec


def create_server(
    engine: GenerationEngine, codec: TextCodec, settings: ServerSettings, shutdown: Shutdown | None = None
) -> FastAPI:
    """The ASGI application.

    Args:
        engine: Generates; closed by the caller, not by the server.
        codec: The model's tokenizer.
        settings: What is served, and who may use it.
        shutdown: The caller's handle to end it; None: it only ends with its process.
    """
    server = FastAPI(title="bedplate", docs_url=None, redoc_url=None, openapi_url=None)
    handlers = Handlers(engine, codec, settings, shutdown or Shutdown())
    server.add_api_route("/health", handlers.health, methods=["GET"])
    server.add_api_route("/metrics", handlers.metrics_text, methods=["GET"])
    server.add_api_route("/v1/models", handlers.models, methods=["GET"])
    server.add_api_route("/v1/models/{model:path}", handlers.model, methods=["GET"])
    server.add_api_route("/v1/completions", handlers.complete, methods=["POST"], response_model=None)
    server.add_api_route("/v1/chat/completions", handlers.chat, methods=["POST"], response_model=None)
    server.add_exception_handler(HTTPException, _http_error)
    server.add_exception_handler(Exception, _internal_error)
    return server


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return from_http(error, request.method, request.url.path).response()


async def _internal_error(request: Request, error: Exception) -> Response:
    """The answer to a fault of ours; the framework logs its traceback."""
    return internal_error(error).response()
