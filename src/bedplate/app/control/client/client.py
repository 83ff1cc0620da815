"""A client of the service: the verbs `submit`, `queue`, `quota`, `nodes`, `users` and `cancel`, in Python.

    service = bedplate.connect()
    job = service.submit("train.yaml", tenant="research/vision", priority=10)
    service.wait(job["id"])

Errors of the service are raised here with their classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from bedplate.app.control.calls.submission import Submission, prepare
from bedplate.app.control.client.connection import Connection
from bedplate.app.control.client.waiting import wait_for
from bedplate.core.json import Json
from bedplate.core.messages import encode
from bedplate.documents.reading import Document, document_from, read_document


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
        return wait_for(lambda: self.job(job_id), timeout_s=timeout_s, on_change=on_change)

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
        return self._connection.send("PUT", f"/v1/quotas/{quote(tenant)}", body)

    def remove_quota(self, tenant: str) -> dict[str, Any]:
        """Let a tenant have only what it can borrow."""
        return self._connection.send("DELETE", f"/v1/quotas/{quote(tenant)}", None)

    def users(
        self, *, role: str | None = None, order: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """A page of users: `users` and `next`."""
        return self._list("/v1/users", role=role, order=order, limit=limit, cursor=cursor)

    def add_user(self, name: str, *, role: str, tenants: tuple[str, ...] = ()) -> dict[str, Any]:
        """A new user; `token` is shown this once."""
        return self._connection.send("PUT", f"/v1/users/{quote(name, safe='')}", {"role": role, "tenants": list(tenants)})

    def renew_token(self, name: str) -> dict[str, Any]:
        """Another token for a user; the one before is no longer valid."""
        return self._post(f"/v1/users/{quote(name, safe='')}/token", {})

    def remove_user(self, name: str) -> dict[str, Any]:
        """Take a user's rights; the jobs go on."""
        return self._connection.send("DELETE", f"/v1/users/{quote(name, safe='')}", None)

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

    @property
    def _connection(self) -> Connection:
        return Connection(url=self.url, token=self.token)

    def _list(self, path: str, **query: Any) -> dict[str, Any]:
        given = {key: value for key, value in query.items() if value not in (None, ())}
        return self._get(f"{path}?{urlencode(given, doseq=True)}" if given else path)

    def _get(self, path: str) -> dict[str, Any]:
        return self._connection.send("GET", path, None)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._connection.send("POST", path, body)


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
