"""The service, put together: state, lock, engine, scheduler; without HTTP, which is above it (`service/control/`)."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.control.addresses import ServiceFiles
from bedplate.app.control.calls.access import Role
from bedplate.app.control.calls.api import ControlApi
from bedplate.app.control.calls.submission import Submitter
from bedplate.app.control.calls.tokens import new_token, token_digest
from bedplate.app.control.launching.launcher import ProcessLauncher
from bedplate.app.control.scheduling.capacity import CapacityFollower, CapacityWatch
from bedplate.app.control.scheduling.controller import Controller
from bedplate.app.control.scheduling.loop import SchedulerLoop
from bedplate.app.control.scheduling.node_watch import NodeWatch
from bedplate.app.control.scheduling.scheduler_lock import sole_scheduler
from bedplate.app.control.settings import ServiceSettings
from bedplate.app.wiring import engine_factory, open_state, state_location
from bedplate.compute.costs.prices import Prices, read_prices
from bedplate.core.errors import BedplateError, UsageError
from bedplate.core.events.event import Subject, SubjectKind
from bedplate.core.events.kinds import SchedulerStopped, make_event
from bedplate.state.database.location import StateLocation
from bedplate.state.events import event_row
from bedplate.state.store import StateStore

ADMIN = "admin"
"""Name of the first user."""
_STOP_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlService:
    """A service that runs."""

    api: ControlApi
    controller: Controller
    loop: SchedulerLoop
    watch: NodeWatch
    following: CapacityWatch
    files: ServiceFiles
    state: StateStore
    settings: ServiceSettings
    token: str | None
    """The first admin's new token, shown this once; None where it was made before."""

    def stop_jobs(self, wait_s: float) -> int:
        """Let every job save what it has and end, and wait for that; they wait again. Returns how many are left running."""
        self.controller.stop_all()
        until_s = self.state.clock.now() + wait_s
        while (left := self.controller.num_placed()) and self.state.clock.now() < until_s:
            self.state.clock.wait(_STOP_POLL_S)
            self.controller.settle()
        return left


@contextmanager
def running_service(
    settings: ServiceSettings,
    *,
    engine: str = "local",
    state: str | None = None,
    uses: Mapping[str, str] | None = None,
    renew_token: bool = False,
    on_lost: Callable[[BedplateError], None],
) -> Iterator[ControlService]:
    """The service while inside; at the end the decision in hand is finished, and jobs go on.

    Args:
        settings: Limits, intervals, and how to decide.
        engine: Where jobs run, as a URL; one that ends with its process will not do.
        state: What `--state` says.
        uses: Use cases of the operator's own, by name.
        renew_token: Make another token for the first admin.
        on_lost: Called when another scheduler took over.

    Raises:
        UnavailableError: Another scheduler has this state, or state or engine cannot be reached.
        UsageError: The engine will not do.
    """
    check_engine(engine)
    with contextlib.ExitStack() as stack:
        location = state_location(state)
        _make_private(location)
        store = open_state(location)
        stack.callback(store.close)
        is_held = stack.enter_context(sole_scheduler(store))
        files = ServiceFiles.of(location)
        prices = _prices(settings.prices, files)
        token = _first_token(store, files, renew=renew_token)
        open_engine = engine_factory(engine)(stack.enter_context(_scratch(files)))
        stack.callback(open_engine.close)
        loops: list[SchedulerLoop] = []
        watch = NodeWatch(open_engine.resources, settings.nodes_every, lambda: _wake(loops))
        launcher = ProcessLauncher(location=location, state=_state_text(state), engine=engine, uses=dict(uses or {}))
        capacity = CapacityFollower(store)
        controller = Controller(
            state=store,
            nodes=lambda: watch.nodes,
            launcher=launcher,
            is_held=is_held,
            settings=settings.scheduler,
            capacity=capacity,
            prices=prices,
        )
        loop = SchedulerLoop(controller, settings.pass_every, on_lost)
        loops.append(loop)
        submitter = Submitter(state=store, controller=controller, settings=settings, wake=loop.wake, uses=dict(uses or {}))
        api = ControlApi.of(store, controller, submitter, loop.wake)
        stack.enter_context(watch)
        following = stack.enter_context(CapacityWatch(capacity, settings.capacity_every, loop.wake))
        stack.callback(_say_stopped, store, loop)
        stack.callback(loop.close)
        with controller.book():  # what cannot be read ends the start, and not the first pass
            gc.freeze()  # what was read stays: a collection that looks at all of it costs a pass a fifth of its time
        loop.start()
        yield ControlService(
            api=api,
            controller=controller,
            loop=loop,
            watch=watch,
            following=following,
            files=files,
            state=store,
            settings=settings,
            token=token,
        )


@contextmanager
def _scratch(files: ServiceFiles) -> Iterator[Path]:
    """An empty folder while inside; what a service that was killed left there is removed. Only the sole scheduler asks."""
    folder = files.folder / "engine"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_private(location: StateLocation) -> None:
    """A new database of the service is for its user only: it has the documents of all. Its -wal and -shm get its mode."""
    if location.is_sqlite:
        with contextlib.suppress(OSError):  # it is there, or the one who opens it says why not
            location.file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(location.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def check_engine(engine: str) -> None:
    """Refuse an engine that jobs in processes of their own cannot share.

    Raises:
        UsageError: It ends with the process that opened it.
    """
    if engine.partition("://")[0] == "ray-local":
        raise UsageError(
            "the engine 'ray-local' ends with the process that opened it",
            seen=engine,
            expected="local, ray://HOST:PORT, ray://auto",
            next_step="'ray start --head' starts a cluster that stays; then --engine ray://auto",
        )


def _prices(written: str | None, files: ServiceFiles) -> Prices | None:
    """What the operator says that devices cost; None: nothing."""
    file = files.folder / "prices.yaml" if written is None else Path(written)
    return None if written is None and not file.exists() else read_prices(file)


def _wake(loops: Iterable[SchedulerLoop]) -> None:
    for loop in loops:
        loop.wake()


def _first_token(state: StateStore, files: ServiceFiles, *, renew: bool) -> str | None:
    """Make the first admin, or another token for it."""
    token = new_token()
    if state.users.get(ADMIN) is None:
        state.users.add(ADMIN, Role.ADMIN.value, (), token_digest(token))
    elif renew:
        state.users.set_token(ADMIN, token_digest(token))
    else:
        return None
    files.write_token(token)
    return token


def _state_text(state: str | None) -> str:
    """What `--state` says, for a process with another working directory."""
    text = (os.environ.get("BEDPLATE_STATE") or None) if state is None else state
    if text is None or "://" in text:
        return text or str(state_location(None).file.parent)
    return str(Path(text).expanduser().absolute())


def _say_stopped(state: StateStore, loop: SchedulerLoop) -> None:
    reason = str(loop.error) if loop.error is not None else "it was asked to"
    facts = SchedulerStopped(reason=reason)
    subject = Subject(kind=SubjectKind.SERVICE, id="scheduler")
    event = make_event(facts, at_s=state.clock.now(), message=reason, subject=subject, source="scheduler")
    with contextlib.suppress(BedplateError):  # the state may be away; the end must not depend on it
        state.append([event_row(event)], [])
