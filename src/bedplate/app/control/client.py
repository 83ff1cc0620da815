"""A client of the service: the verbs `submit`, `queue`, `quota`, `nodes`, `users` and `cancel`, in Python.

    service = bedplate.connect()
    job = service.submit("train.yaml", tenant="research/vision", priority=10)
    service.wait(job["id"])

Errors of the service are raised here with their classes.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bedplate.app.control.addresses import ServiceFiles
from bedplate.app.control.submission import Submission, prepare
from bedplate.app.wiring import state_location
from bedplate.core.errors import BedplateError, UnavailableError, UsageError
from bedplate.core.json import Json
from bedplate.core.messages import encode
from bedplate.documents.reading import Document, document_from, read_document

_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.5
_RESTART_S = 120.0
FINAL = ("done", "failed", "cancelled")
"""Phases of a job that nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlClient:
    """One service, as one user. Answers are the documents of the HTTP API (docs/service.md)."""

    url: str
    token: str

    def status(self) -> dict[str, Any]:
        """How the service stands, and who is asking."""
        return self._get("/v1/status")

    def submit(
        self,
        pipeline: str | Path | Mapping[str, Any] | Document,
        *,
        new: bool = False,
        uses: Mapping[str, str] | None = None,
        **needs: Json,
    ) -> dict[str, Any]:
        """Submit a pipeline file, or a mapping of the same shape.

        Args:
            pipeline: As of `bedplate.run`; the files that it names must be where the service can read them.
            new: Start a new run even if one with the same content and inputs exists.
            uses: More use cases; the service must know them too (`bedplate up --use`).
            needs: Keys of `needs` that replace those of the file: `tenant`, `priority`, `expected` …

        Returns:
            The job, with `is_new`; one with the same content that has not ended is that one.

        Raises:
            ConfigurationError: The file is wrong; carries all mistakes.
            UsageError: Nothing there can ever run it; names the nearest request that could be met.
            ForbiddenError: Not for this user.
            QueueFullError: Too many jobs wait.
        """
        return self._post("/v1/jobs", encode(_submission(pipeline, uses, needs, new=new)))

    def forecast(
        self, pipeline: str | Path | Mapping[str, Any] | Document, *, uses: Mapping[str, str] | None = None, **needs: Json
    ) -> dict[str, Any]:
        """What would become of a submission now: `would`, `nodes`, `workers`, `lines`; submits nothing."""
        return self._post("/v1/jobs", encode(replace(_submission(pipeline, uses, needs), dry_run=True)))

    def queue(
        self,
        *,
        phase: tuple[str, ...] = (),
        user: str | None = None,
        tenant: tuple[str, ...] = (),
        name: str | None = None,
        order: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        explain: bool = False,
    ) -> dict[str, Any]:
        """A page of jobs: `jobs`, `counts` by phase, and `next`, the cursor of the page after it.

        With `explain`, the scheduler is asked why each of them waits, which takes longer.
        """
        return self._list(
            "/v1/jobs",
            phase=phase,
            user=user,
            tenant=tenant,
            name=name,
            order=order,
            limit=limit,
            cursor=cursor,
            explain="true" if explain else None,
        )

    def job(self, job_id: str) -> dict[str, Any]:
        """One job."""
        return self._get(f"/v1/jobs/{quote(job_id, safe='')}")

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ask for the end of a job; it has ended when its `phase` says so."""
        return self._post(f"/v1/jobs/{quote(job_id, safe='')}/cancel", {})

    def report_load(self, job_id: str, value: float) -> None:
        """Say what the load of a service is now; its replicas follow it."""
        self._post(f"/v1/jobs/{quote(job_id, safe='')}/load", {"value": value})

    def wait(
        self, job_id: str, *, timeout_s: float | None = None, on_change: Callable[[dict[str, Any]], None] = lambda job: None
    ) -> dict[str, Any]:
        """The job once it has ended, or after `timeout_s`; a service that restarts meanwhile is waited for, two minutes long.

        Args:
            job_id: Which.
            timeout_s: How long at most.
            on_change: Called with the job whenever its phase or what it waits for is another.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        seen: tuple[str, str] | None = None
        answered_s = time.monotonic() - _RESTART_S  # it has to answer once
        while True:
            try:
                job = self.job(job_id)
                answered_s = time.monotonic()
            except UnavailableError:
                is_late = deadline_s is not None and time.monotonic() > deadline_s
                if is_late or time.monotonic() - answered_s >= _RESTART_S:
                    raise
                time.sleep(_LOOK_EVERY_S)
                continue
            if (now := (job["phase"], job["why"])) != seen:
                seen = now
                on_change(job)
            if job["phase"] in FINAL or (deadline_s is not None and time.monotonic() > deadline_s):
                return job
            time.sleep(_LOOK_EVERY_S)

    def nodes(
        self, *, state: str | None = None, order: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """A page of nodes: `nodes` and `next`."""
        return self._list("/v1/nodes", state=state, order=order, limit=limit, cursor=cursor)

    def drain(self, node: str, reason: str) -> dict[str, Any]:
        """Place nothing new on a node."""
        return self._post(f"/v1/nodes/{quote(node, safe='')}/drain", {"reason": reason})

    def undrain(self, node: str) -> dict[str, Any]:
        """Use a node again."""
        return self._post(f"/v1/nodes/{quote(node, safe='')}/undrain", {})

    def quota(
        self,
        *,
        tenant: tuple[str, ...] = (),
        order: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """A page of tenants: `quotas`, with what each may have and holds, and `next`."""
        return self._list("/v1/quotas", tenant=tenant, order=order, limit=limit, cursor=cursor)

    def set_quota(
        self,
        tenant: str,
        *,
        guaranteed: Mapping[str, float] | None = None,
        limit: Mapping[str, float] | None = None,
        weight: float = 1.0,
    ) -> dict[str, Any]:
        """Set what a tenant may have: devices by model, units over all (`any`), cores (`cpu`)."""
        body = {"guaranteed": dict(guaranteed or {}), "limit": dict(limit or {}), "weight": weight}
        return self._send("PUT", f"/v1/quotas/{quote(tenant)}", body)

    def remove_quota(self, tenant: str) -> dict[str, Any]:
        """Let a tenant have only what it can borrow."""
        return self._send("DELETE", f"/v1/quotas/{quote(tenant)}", None)

    def users(
        self, *, role: str | None = None, order: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """A page of users: `users` and `next`."""
        return self._list("/v1/users", role=role, order=order, limit=limit, cursor=cursor)

    def add_user(self, name: str, *, role: str, tenants: tuple[str, ...] = ()) -> dict[str, Any]:
        """A new user; `token` is shown this once."""
        return self._send("PUT", f"/v1/users/{quote(name, safe='')}", {"role": role, "tenants": list(tenants)})

    def renew_token(self, name: str) -> dict[str, Any]:
        """Another token for a user; the one before is no longer valid."""
        return self._post(f"/v1/users/{quote(name, safe='')}/token", {})

    def remove_user(self, name: str) -> dict[str, Any]:
        """Take a user's rights; the jobs go on."""
        return self._send("DELETE", f"/v1/users/{quote(name, safe='')}", None)

    def events(
        self, *, after: int = 0, job: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """The next `events` after a number, and the number to continue after (`next`)."""
        return self._list("/v1/events", after=after, job=job, kind=kind, limit=limit)

    def pages(self, listing: Callable[..., dict[str, Any]], key: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list: `pages(service.queue, "jobs")`."""
        cursor = None
        while True:
            page = listing(cursor=cursor, **filters)
            yield from page[key]
            cursor = page["next"]
            if cursor is None:
                return

    def _list(self, path: str, **query: Any) -> dict[str, Any]:
        given = {key: value for key, value in query.items() if value not in (None, ())}
        return self._get(f"{path}?{urlencode(given, doseq=True)}" if given else path)

    def _get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path, None)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310  # http and https only: `connect`
        request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return _read(answer.read(), self.url)
        except urllib.error.HTTPError as error:
            raise _as_error(error.read(), error.code, self.url) from None
        except (OSError, http.client.HTTPException) as error:
            raise _not_there(self.url, getattr(error, "reason", None) or error) from error


def connect(*, url: str | None = None, token: str | None = None, state: str | None = None) -> ControlClient:
    """The service at `url`, or that of a state of this user.

    Args:
        url: Where it listens; BEDPLATE_URL if it is not given, else what the service of `state` has written down.
        token: Who is asking; BEDPLATE_TOKEN if it is not given, else the token that `bedplate up` kept for this user, which
            is sent nowhere but to the address that the service of `state` has written down.
        state: As of `bedplate.run`.

    Raises:
        UnavailableError: There is no such service, or no token.
        UsageError: Not the address of a service.
    """
    files = ServiceFiles.of(state_location(state))
    found_url = url or os.environ.get("BEDPLATE_URL") or files.url()
    if found_url is None:
        raise UnavailableError(
            "no service of this state is running",
            seen=files.folder,
            expected="a service that was started with 'bedplate up'",
            next_step="start it, or name one by BEDPLATE_URL and BEDPLATE_TOKEN",
        )
    parts = urlsplit(found_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError("not the address of a service", seen=found_url, expected="http://HOST:PORT")
    kept = files.token() if found_url == files.url() else None  # of no concern to any other address
    found_token = token or os.environ.get("BEDPLATE_TOKEN") or kept
    if found_token is None:
        raise UnavailableError(
            "there is no token for the service",
            seen=found_url,
            expected=f"BEDPLATE_TOKEN; {files.token_file} is sent to the service of that state only",
            next_step="ask an admin ('bedplate users add NAME'); 'bedplate up --new-token' makes another for its owner",
        )
    return ControlClient(url=found_url.rstrip("/"), token=found_token)


def _submission(
    pipeline: str | Path | Mapping[str, Any] | Document,
    uses: Mapping[str, str] | None,
    needs: Mapping[str, Json],
    *,
    new: bool = False,
) -> Submission:
    if isinstance(pipeline, Document):
        document = pipeline
    elif isinstance(pipeline, Mapping):
        document = document_from(pipeline, Path.cwd())
    else:
        document = read_document(Path(pipeline))
    return prepare(document, uses, needs, new=new)


def _read(data: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _not_there(url, "an answer that is not the service's")
    return document


def _as_error(data: bytes, status: int, url: str) -> BedplateError:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "code" not in document:
        return _not_there(url, f"HTTP {status}: an answer that is not the service's")
    return BedplateError.from_json(document)


def _not_there(url: str, seen: object) -> UnavailableError:
    return UnavailableError(
        f"the service at {url} does not answer",
        seen=seen,
        expected="a service that was started with 'bedplate up'",
        next_step="start it again: the queue is kept",
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A service never redirects, and a token must not follow one."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
