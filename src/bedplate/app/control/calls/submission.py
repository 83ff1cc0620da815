"""Submitting a pipeline: what the submitting side sends, and what the service makes of it.

The document travels with its inputs as absolute paths, and with the key that the submitting side computed over its content and
the content of its inputs. The service reads the same files; if it sees other content, the keys differ, and it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bedplate.app.control.calls.access import Caller
from bedplate.app.control.calls.explain import Forecast, check_satisfiable, forecast
from bedplate.app.control.calls.tokens import check_tenant
from bedplate.app.control.scheduling.controller import Controller
from bedplate.app.control.scheduling.requests import job_of, request_of, terms_of
from bedplate.app.control.settings import ServiceSettings
from bedplate.app.pipeline.file.definition import Pipeline
from bedplate.app.pipeline.file.reading import examine_pipeline
from bedplate.app.pipeline.run.planning import check_settings_of
from bedplate.app.uses import USES
from bedplate.core.errors import CheckFailedError, ConfigurationError, ForbiddenError, QueueFullError, did_you_mean
from bedplate.core.events.event import Subject, SubjectKind
from bedplate.core.events.kinds import JobSubmitted, make_event
from bedplate.core.json import Json, JsonObject
from bedplate.core.messages import encode
from bedplate.core.settings import Mistakes
from bedplate.documents.reading import Document, document_from
from bedplate.state.events import event_row
from bedplate.state.job_records import JobRecord, NewJob, Phase
from bedplate.state.store import StateStore

NO_FOLDER = Path("/dev/null/no-folder")
"""Where relative paths of a submitted document start: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is sent to the service."""

    document: JsonObject
    """The pipeline, its inputs as absolute paths."""
    key: str
    """`Pipeline.key` as the submitting side sees it."""
    file: str = ""
    """Its name there, for people."""
    new: bool = False
    """Start a new run even if one for the same content exists."""
    dry_run: bool = False
    """Say what would happen, and submit nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """The service's side.

    Args:
        state: Where jobs are kept.
        controller: Knows what can be met.
        settings: Limits.
        wake: Called when there is a new job.
        uses: Use cases of the operator's own.
    """

    state: StateStore
    controller: Controller
    settings: ServiceSettings
    wake: Callable[[], None]
    uses: Mapping[str, str] = field(default_factory=dict)

    def submit(self, caller: Caller, sent: Submission) -> tuple[JobRecord, bool]:
        """The job, and whether it is new; one of the same key that has not ended is that one.

        Raises:
            ForbiddenError: Not for this caller.
            ConfigurationError: The document is wrong; carries all mistakes.
            CheckFailedError: The service sees other inputs than the submitting side.
            UsageError: Nothing here can ever run it; names the nearest request that could be met.
            QueueFullError: Too many jobs are open.
        """
        job = self._read(caller, sent)
        same = self._open_of_key(job.key)
        if same is not None:
            return same, False
        with self.controller.book() as book:
            check_satisfiable(book, job_of(_trial(job, self.state.clock.now())))
        facts = JobSubmitted(user=job.user, tenant=job.tenant, name=job.name)
        event = make_event(
            facts,
            at_s=self.state.clock.now(),
            message=f"{job.name} of {job.user}, tenant {job.tenant}",
            subject=Subject(kind=SubjectKind.JOB, id=""),
            source="service",
        )
        added = self.state.jobs.add(job, [event_row(event)], max_open=self.settings.max_jobs)
        if added is None:
            raise QueueFullError(
                "the queue is full",
                seen=f"{self.settings.max_jobs} jobs that have not ended",
                expected="fewer",
                next_step="try again when jobs have ended, or raise --max-jobs of 'bedplate up'",
            )
        self.wake()
        return added

    def forecast(self, caller: Caller, sent: Submission) -> Forecast:
        """What would happen; errors as of `submit`, but what can never run is an answer and no error."""
        job = self._read(caller, sent)
        now_s = self.state.clock.now()
        with self.controller.book() as book:
            return forecast(book, job_of(_trial(job, now_s)), now_s)

    def _open_of_key(self, key: str) -> JobRecord | None:
        with self.controller.book() as book:
            return next((record for record in book.records.values() if record.key == key), None)

    def _read(self, caller: Caller, sent: Submission) -> NewJob:
        caller.check_submits(caller.own_tenants[0])
        document, uses = document_from(sent.document, NO_FOLDER), {**USES, **self.uses}
        _check_uses(sent.document, uses)
        pipeline = examine_pipeline(document, uses, owner=caller.name, file=sent.file).complete()
        if (seen := replace(pipeline, owner="").key()) != sent.key:
            raise CheckFailedError(
                "the service sees other inputs than you do",
                seen=f"content {seen[:12]}",
                expected=f"content {sent.key[:12]}",
                next_step="keep the files that the pipeline reads where the service can read them, and do not change them now",
            )
        mistakes = Mistakes()
        check_settings_of(pipeline, mistakes, state=self.state, runs_folder=self.state.database.location.runs_folder)
        mistakes.raise_all()
        return self._new_job(caller, sent, pipeline)

    def _new_job(self, caller: Caller, sent: Submission, pipeline: Pipeline) -> NewJob:
        needs = pipeline.needs
        tenant = needs.tenant or caller.own_tenants[0]
        check_tenant(tenant)
        caller.check_submits(tenant)
        if needs.priority > self.settings.max_priority and not caller.sees_all:
            raise ForbiddenError(
                f"{caller.name} may not ask for this priority",
                seen=needs.priority,
                expected=f"at most {self.settings.max_priority}",
                next_step="ask for less, or ask an operator",
            )
        with self.controller.book() as book:
            nodes = book.cores.nodes
        return NewJob(
            name=pipeline.name,
            key=pipeline.key(),
            user=caller.name,
            tenant=tenant,
            priority=needs.priority,
            file=sent.file,
            document=sent.document,
            request=encode(request_of(needs, nodes)),
            terms=encode(terms_of(needs)),
            is_new_run=sent.new,
        )


def prepare(
    document: Document, uses: Mapping[str, str] | None = None, needs: Mapping[str, Json] | None = None, **more: Any
) -> Submission:
    """The submitting side: read and check a pipeline, and make what is sent of it.

    Args:
        document: What was read.
        uses: Use cases by name, beside bedplate's.
        needs: Keys of `needs` that replace those of the document.
        more: Fields of `Submission`.

    Raises:
        ConfigurationError: The document is wrong; carries all mistakes.
    """
    if needs:
        written = document.value.get("needs")
        merged = {**(written if isinstance(written, Mapping) else {}), **needs}
        document = replace(document, value={**document.value, "needs": merged})
    pipeline = examine_pipeline(document, {**USES, **(uses or {})}).complete()
    steps: dict[str, Json] = {
        step.name: {"use": step.case.name, **({"after": list(step.after)} if step.after else {}), **step.written}
        for step in pipeline.steps
    }
    sent = {**pipeline.document, "steps": steps}
    return Submission(document=sent, key=pipeline.key(), file=pipeline.file, **more)


def _check_uses(document: JsonObject, known: Mapping[str, str]) -> None:
    """Refuse a use case that only the submitting side has; what else is wrong with a document is found when it is read."""
    steps = document.get("steps")
    for step in steps.values() if isinstance(steps, Mapping) else ():
        use = step.get("use") if isinstance(step, Mapping) else None
        if isinstance(use, str) and use not in known:
            raise ConfigurationError(
                f"the service has no use case '{use}'",
                seen=use,
                expected=", ".join(sorted(known)),
                next_step=did_you_mean(use, known, f"it must have it too: 'bedplate up --use {use}=MODULE'"),
            )


def _trial(job: NewJob, now_s: float) -> JobRecord:
    """A job as it would be stored, for the scheduler to judge."""
    values = {name: getattr(job, name) for name in NewJob.__dataclass_fields__}
    return JobRecord(
        **values,
        number=0,
        id="",
        run_id=None,
        phase=Phase.WAITING,
        submitted_at_s=now_s,
        placed_at_s=None,
        ended_at_s=None,
        attempt=0,
        num_crashes=0,
        allocation=None,
        runner=None,
        outcome=None,
        stop=None,
        cancelled_by=None,
        error=None,
        why="",
    )
