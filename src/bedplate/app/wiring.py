"""Where the control process is put together: which engine, which state, which folders."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.paths import state_home
from bedplate.core.errors import UnavailableError, UsageError, check_known
from bedplate.engines.base import Engine, EngineFactory
from bedplate.state.store import StateStore

ENGINES: dict[str, str] = {
    "local": "bedplate.engines.local.engine:LocalEngine",
    "ray": "bedplate.engines.ray.opening:open_engine",
    "ray-local": "bedplate.engines.ray.opening:open_local_engine",
}
"""Engine name -> `module:factory`; loaded when chosen."""
WITH_ADDRESS = ("ray",)
"""Engines of clusters that are elsewhere: their factory takes `address` too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePlace:
    """Where state lies: the database, and the folder with the runs' directories."""

    url: str
    runs_folder: Path


def state_place(state: str | None = None) -> StatePlace:
    """What `--state` means: a folder, a database URL, or the user's state folder when it is not given.

    The runs' directories lie beside an SQLite database, and in the user's state folder for any other.
    """
    if state is None or "://" not in state:
        folder = state_home() if state is None else Path(state).expanduser().absolute()
        return StatePlace(url=f"sqlite:///{folder / 'state.db'}", runs_folder=folder / "runs")
    database = state.partition(":///")[2] if state.startswith("sqlite") else ""
    folder = Path(database).absolute().parent if database else state_home()
    return StatePlace(url=state, runs_folder=folder / "runs")


def open_state(place: StatePlace) -> StateStore:
    """The state, made when it is not there; see `StateStore.open`."""
    return StateStore.open(place.url)


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


def open_local_engine(directory: Path, cores: Sequence[int] | None = None) -> Engine:
    """A local engine of this process, for work outside a run; the caller closes it.

    Args:
        directory: For its logs and scratch files; made when it is missing.
        cores: The cores that it may use; all of this process when None.
    """
    factory: Callable[..., Engine] = engine_factory("local")
    return factory(directory) if cores is None else factory(directory, cores)
