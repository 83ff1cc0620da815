"""Where the control process is put together: which engine, which state, which folders."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bedplate.compute.inventory.node import NODE_READER
from bedplate.core.allocation import NodeAllocation
from bedplate.core.errors import BedplateError, UnavailableError, check_known
from bedplate.core.events.event import EventSink, NullEventSink, Subject, SubjectKind
from bedplate.core.paths import state_home
from bedplate.engines.base import Engine, EngineFactory, EngineOpener
from bedplate.state.database.location import StateLocation, read_location
from bedplate.state.sink import StateSink
from bedplate.state.store import StateStore

ENGINES: dict[str, str] = {
    "local": "bedplate.engines.local.opening:open_engine",
    "ray": "bedplate.engines.ray.opening:open_engine",
    "ray-local": "bedplate.engines.ray.opening:open_local_engine",
    "simulated": "bedplate.engines.simulated.opening:open_engine",
}
"""Scheme of an engine's URL -> `module:function` of its `EngineOpener`; loaded when chosen."""
ENGINE_URLS = ("local", "local://CORES", "ray://HOST:PORT", "ray://auto", "ray", "ray-local", "simulated://NODESxCORES")
"""What an engine's URL may look like, for people."""


def state_location(state: str | None = None) -> StateLocation:
    """What `--state` means; if it is not given, `BEDPLATE_STATE`, else the user's state folder. See `read_location`."""
    return read_location(os.environ.get("BEDPLATE_STATE") or None if state is None else state, state_home)


def open_state(location: StateLocation) -> StateStore:
    """The state, made when it is not there; see `StateStore.open`."""
    return StateStore.open(location)


@contextmanager
def service_events(service: str, state: str | None = None) -> Iterator[EventSink]:
    """Where a verb or server that is no run sends its events: into the state, under the subject `service:NAME`.

    Its work does not depend on it: if the state is not available, events are discarded.

    Args:
        service: Its name: `doctor`.
        state: What `--state` says; None: `BEDPLATE_STATE`, else the user's state folder.
    """
    try:
        store = open_state(state_location(state))
    except BedplateError:
        yield NullEventSink()
        return
    sink = StateSink(store, Subject(kind=SubjectKind.SERVICE, id=service))
    try:
        yield sink
    finally:
        sink.close()
        store.close()


def engine_factory(url: str, only: Sequence[NodeAllocation] = ()) -> EngineFactory:
    """What opens the engine at `url`: a scheme of `ENGINES`, or `scheme://location`. Nothing is opened yet.

    Args:
        url: Names the engine.
        only: What of its nodes it may use; all of them where nothing is named.

    Raises:
        UsageError: There is no such kind of engine.
        UnavailableError: It is not installed.
    """
    scheme, _, location = url.partition("://")
    check_known(scheme, ENGINES, "no engine", seen=url, expected=", ".join(ENGINE_URLS))
    module, _, attribute = ENGINES[scheme].partition(":")
    try:
        opener: EngineOpener = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UnavailableError(
            f"the engine '{scheme}' is not installed", seen=error, next_step=f"pip install 'bedplate[{scheme}]'"
        ) from error
    return lambda root: opener(root, location, NODE_READER, only=only)


def local_engine(directory: Path, cores: Sequence[int] | None = None) -> Engine:
    """A local engine of this process, for work outside a run; the caller closes it.

    Args:
        directory: For its logs and scratch files; made when it is missing.
        cores: The cores that it may use; one that is named twice takes two tasks. None: all of this process, once.

    Raises:
        UsageError: Not cores that this process may use.
    """
    return engine_factory("local" if cores is None else f"local://{','.join(map(str, cores))}")(directory)
