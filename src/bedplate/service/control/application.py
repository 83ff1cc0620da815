"""The service's routes, and the shape of its errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from bedplate.core.errors import BedplateError
from bedplate.service.control.access import check_host
from bedplate.service.control.errors import RefusedRequest, on_bedplate_error, on_fault, on_http_error, on_refused
from bedplate.service.control.handlers import Handlers

ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "/health", "health"),
    ("GET", "/v1/status", "status"),
    ("GET", "/v1/jobs", "jobs"),
    ("POST", "/v1/jobs", "submit"),
    ("GET", "/v1/jobs/{job_id}", "job"),
    ("POST", "/v1/jobs/{job_id}/cancel", "cancel"),
    ("POST", "/v1/jobs/{job_id}/load", "load"),
    ("GET", "/v1/nodes", "nodes"),
    ("POST", "/v1/nodes/{node_id}/drain", "drain"),
    ("POST", "/v1/nodes/{node_id}/undrain", "undrain"),
    ("GET", "/v1/quotas", "quotas"),
    ("PUT", "/v1/quotas/{tenant:path}", "set_quota"),
    ("DELETE", "/v1/quotas/{tenant:path}", "remove_quota"),
    ("GET", "/v1/users", "users"),
    ("PUT", "/v1/users/{name}", "add_user"),
    ("POST", "/v1/users/{name}/token", "renew_token"),
    ("DELETE", "/v1/users/{name}", "remove_user"),
    ("GET", "/v1/events", "events"),
)
"""Method, path, method of `Handlers`."""


def create_application(handlers: Handlers, allowed_hosts: tuple[str, ...]) -> FastAPI:
    """The ASGI application.

    Args:
        handlers: What the routes do.
        allowed_hosts: Names beside this machine's own that requests may be sent to.
    """
    application = FastAPI(title="bedplate", docs_url=None, redoc_url=None, openapi_url=None)
    for method, path, name in ROUTES:
        application.add_api_route(path, getattr(handlers, name), methods=[method], response_model=None)
    for kind, handler in (
        (BedplateError, on_bedplate_error),
        (RefusedRequest, on_refused),
        (HTTPException, on_http_error),
        (Exception, on_fault),
    ):
        application.add_exception_handler(kind, handler)

    @application.middleware("http")
    async def check(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            check_host(request, allowed_hosts)
        except RefusedRequest as refused:
            return await on_refused(request, refused)
        answer = await call(request)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return application
