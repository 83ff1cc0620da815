"""Where the control process is put together: which engine, which state, which folders."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bedplate.core.errors import BedplateError, UnavailableError, UsageError, check_known
from bedplate.core.events import EventSink, NullEventSink, Subject, SubjectKind
from bedplate.core.paths import state_home
from bedplate.engines.base import Engine, EngineFactory
from bedplate.state.location import StateLocation, read_location
from bedplate.state.sink import StateSink
from bedplate.state.store import StateStore

ENGINES: dict[str, str] = {
    "local": "bedplate.engines.local.engine:LocalEngine",
    "ray": "bedplate.engines.ray.opening:open_engine",
    "ray-local": "bedplate.engines.ray.opening:open_local_engine",
}
"""Engine name -> `module:factory`; loaded when chosen."""
WITH_ADDRESS = ("ray",)
"""Engines of clusters that are elsewhere: their factory takes `address` too."""


def state_location(state: str | None = None) -> StateLocation:
    """What `--state` means; the user's state folder when it is not given. See `read_location`."""
    return read_location(state, state_home)


def open_state(location: StateLocation) -> StateStore:
    """The state, made when it is not there; see `StateStore.open`."""
    return StateStore.open(location)


@contextmanager
def service_events(service: str, state: str | None = None) -> Iterator[EventSink]:
    """Where a verb or server that is no run sends its events: into the state, under the subject `service:NAME`.

    Its work does not depend on it: where the state cannot be had, events are discarded.

    Args:
        service: Its name: `doctor`.
        state: What `--state` says; None: `BEDPLATE_STATE`, else the user's state folder.
    """
    try:
        store = open_state(state_location(state or os.environ.get("BEDPLATE_STATE") or None))
    except BedplateError:
        yield NullEventSink()
        return
    sink = StateSink(store, Subject(kind=SubjectKind.SERVICE, id=service))
    try:
        yield sink
    finally:
        sink.close()
        store.close()


def engine_factory(name: str, address: str | None = None) -> EngineFactory:
    """What opens the engine `name`.

    Args:
        name: One of `ENGINES`.
        address: Where the cluster of an engine in `WITH_ADDRESS` is; None leaves it to the engine's own environment.

    Raises:
        UsageError: There is no such engine, or it has no address.
        UnavailableError: It is not installed.
    """
    check_known(name, ENGINES, "unknown engine")
    if address is not None and name not in WITH_ADDRESS:
        raise UsageError(f"the engine '{name}' has no address", seen=address, next_step=f"--engine {WITH_ADDRESS[0]}")
    module, _, attribute = ENGINES[name].partition(":")
    try:
        factory: Callable[..., Engine] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UnavailableError(
            f"the engine '{name}' is not installed", seen=error, next_step=f"pip install 'bedplate[{name}]'"
        ) from error
    return factory if address is None else functools.partial(factory, address=address)


def local_engine(directory: Path, cores: Sequence[int] | None = None) -> Engine:
    """A local engine of this process, for work outside a run; the caller closes it.

    Args:
        directory: For its logs and scratch files; made when it is missing.
        cores: The cores that it may use; all of this process when None.
    """
    factory: Callable[..., Engine] = engine_factory("local")
    return factory(directory) if cores is None else factory(directory, cores)
