"""What each route does: read the request, call `ControlApi` in a thread, write the answer."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse

from bedplate import __version__
from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.api import MAX_EVENTS
from bedplate.app.control.calls.submission import Submission
from bedplate.app.control.service import ControlService
from bedplate.app.runs import event_as_json
from bedplate.core.errors import UnavailableError
from bedplate.service.control.access import caller_of
from bedplate.service.control.bodies import DrainBody, LoadBody, NoBody, QuotaBody, UserBody
from bedplate.service.control.reading import Query, choices, list_query, read_body
from bedplate.state.job_records import Phase, TenantRecord
from bedplate.state.jobs import JobFilter

P = ParamSpec("P")
R = TypeVar("R")


class Handlers:
    """The routes of one service."""

    def __init__(self, service: ControlService) -> None:
        self._service, self._api = service, service.api
        self.is_stopping = False
        """New jobs are refused; what is asked is still answered."""

    async def health(self) -> JSONResponse:
        """Whether the scheduler works; needs no token and reveals nothing else."""
        is_well = self._service.loop.error is None and self._service.watch.error is None
        status = "stopping" if self.is_stopping else "ok" if is_well else "degraded"
        return JSONResponse({"status": status}, status_code=200 if status == "ok" else 503)

    async def status(self, request: Request) -> dict[str, Any]:
        """How the service stands, and who is asking."""
        caller = await self._caller(request)
        Query(request)
        service = self._service
        found = (service.loop.error, service.watch.error, service.following.error)
        errors = [str(error) for error in found if error is not None]
        errors += await _call(self._api.quotas.unreadable)
        return {
            "version": __version__,
            "user": caller.name,
            "role": caller.role.value,
            "tenants": list(caller.own_tenants),
            "jobs": await _call(self._api.jobs.counts, caller, JobFilter()),
            "passes": self._service.loop.num_passes,
            "errors": errors if caller.sees_all else [error.partition(";")[0] for error in errors],
        }

    async def submit(self, request: Request) -> JSONResponse:
        """Submit a pipeline; or say what would happen."""
        caller = await self._caller(request)
        Query(request)
        sent = await read_body(request, Submission, self._service.settings.max_body)
        if sent.dry_run:
            return JSONResponse((await _call(self._api.jobs.forecast, caller, sent)).as_json())
        if self.is_stopping:
            raise UnavailableError("the service is ending", next_step="submit again when it is up: bedplate up")
        job, is_new = await _call(self._api.jobs.submit, caller, sent)
        return JSONResponse({**job, "is_new": is_new}, status_code=201 if is_new else 200)

    async def jobs(self, request: Request) -> dict[str, Any]:
        """A page of jobs."""
        caller = await self._caller(request)
        query = list_query(request, "phase", "user", "tenant", "name", "explain")
        phases = choices(query.texts("phase"), [phase.value for phase in Phase], "no phase of a job")
        wanted = JobFilter(
            phases=None if phases is None else tuple(Phase(word) for word in phases),
            user=query.text("user"),
            tenants=query.texts("tenant"),
            name=query.text("name"),
        )
        explain = query.text("explain") or "false"
        choices((explain,), ("true", "false"), "no answer to whether reasons are wanted")
        page = await _call(functools.partial(self._api.jobs.page, explain=explain == "true"), caller, wanted, query.page())
        return {"jobs": list(page.items), "next": page.next, "counts": await _call(self._api.jobs.counts, caller, wanted)}

    async def job(self, request: Request, job_id: str) -> dict[str, Any]:
        """One job."""
        caller = await self._caller(request)
        Query(request)
        return dict(await _call(self._api.jobs.get, caller, job_id))

    async def cancel(self, request: Request, job_id: str) -> dict[str, Any]:
        """Ask for the end of a job."""
        caller = await self._caller(request)
        Query(request)
        await read_body(request, NoBody, 100)
        return dict(await _call(self._api.jobs.cancel, caller, job_id))

    async def load(self, request: Request, job_id: str) -> dict[str, Any]:
        """Take in the load of a service."""
        caller = await self._caller(request)
        Query(request)
        body = await read_body(request, LoadBody, 1_000)
        await _call(self._api.jobs.report_load, caller, job_id, body.value, body.at_s)
        return {"id": job_id, "value": body.value}

    async def nodes(self, request: Request) -> dict[str, Any]:
        """A page of nodes."""
        caller = await self._caller(request)
        query = list_query(request, "state")
        state = query.text("state")
        choices(None if state is None else (state,), ("usable", "drained", "lost"), "no state of a node")
        page = await _call(self._api.nodes.page, caller, state, query.page())
        return {"nodes": [view.as_json() for view in page.items], "next": page.next}

    async def drain(self, request: Request, node_id: str) -> dict[str, Any]:
        """Place nothing new on a node."""
        caller = await self._caller(request)
        Query(request)
        body = await read_body(request, DrainBody, 10_000)
        await _call(self._api.nodes.drain, caller, node_id, body.reason)
        return {"id": node_id, "state": "drained"}

    async def undrain(self, request: Request, node_id: str) -> dict[str, Any]:
        """Use a node again."""
        caller = await self._caller(request)
        Query(request)
        await read_body(request, NoBody, 100)
        await _call(self._api.nodes.undrain, caller, node_id)
        return {"id": node_id, "state": "usable"}

    async def quotas(self, request: Request) -> dict[str, Any]:
        """A page of tenants."""
        caller = await self._caller(request)
        query = list_query(request, "tenant")
        page = await _call(self._api.quotas.page, caller, query.texts("tenant"), query.page())
        return {"quotas": list(page.items), "next": page.next}

    async def set_quota(self, request: Request, tenant: str) -> dict[str, Any]:
        """Set what a tenant may have."""
        caller = await self._caller(request)
        Query(request)
        body = await read_body(request, QuotaBody, 100_000)
        quota = TenantRecord(name=tenant, guaranteed=body.guaranteed, limit=body.limit, weight=body.weight)
        await _call(self._api.quotas.set, caller, quota)
        return {"tenant": tenant, "guaranteed": body.guaranteed, "limit": body.limit, "weight": body.weight}

    async def remove_quota(self, request: Request, tenant: str) -> dict[str, Any]:
        """Let a tenant have only what it can borrow."""
        caller = await self._caller(request)
        Query(request)
        await _call(self._api.quotas.remove, caller, tenant)
        return {"tenant": tenant}

    async def users(self, request: Request) -> dict[str, Any]:
        """A page of users."""
        caller = await self._caller(request)
        query = list_query(request, "role")
        role = query.text("role")
        choices(None if role is None else (role,), [item.value for item in Role], "no role of a user")
        page = await _call(self._api.users.page, caller, role, query.page())
        return {"users": list(page.items), "next": page.next}

    async def add_user(self, request: Request, name: str) -> JSONResponse:
        """A new user; the token is in this answer and nowhere else."""
        caller = await self._caller(request)
        Query(request)
        body = await read_body(request, UserBody, 10_000)
        user, token = await _call(self._api.users.add, caller, name, body.role, body.tenants)
        return JSONResponse({**user, "token": token}, status_code=201)

    async def renew_token(self, request: Request, name: str) -> dict[str, Any]:
        """Another token."""
        caller = await self._caller(request)
        Query(request)
        await read_body(request, NoBody, 100)
        return {"name": name, "token": await _call(self._api.users.renew_token, caller, name)}

    async def remove_user(self, request: Request, name: str) -> dict[str, Any]:
        """Take a user's rights."""
        caller = await self._caller(request)
        Query(request)
        await _call(self._api.users.remove, caller, name)
        return {"name": name}

    async def events(self, request: Request) -> dict[str, Any]:
        """The next events after a number."""
        caller = await self._caller(request)
        query = Query(request, "after", "job", "kind", "limit")
        after = query.number("after", 0)
        limit = query.number("limit", MAX_EVENTS)
        found = await _call(self._api.events, caller, after, query.text("job"), query.text("kind"), limit)
        return {"events": [event_as_json(event) for event in found], "next": found[-1].number if found else after}

    async def _caller(self, request: Request) -> Caller:
        return await _call(caller_of, request, self._api)


async def _call(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """In a thread: the state may take its time, and others are not to wait for it."""
    return await asyncio.to_thread(function, *arguments, **named)
