"""The state: one store per noun, over one database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bedplate.core.clock import Clock, SystemClock
from bedplate.state.database.connections import Database
from bedplate.state.database.location import StateLocation
from bedplate.state.database.locks import RunLocks
from bedplate.state.database.opening import open_database
from bedplate.state.drains import DrainStore
from bedplate.state.events import EventStore, insert_events
from bedplate.state.exclusions import ExclusionStore
from bedplate.state.gangs import GangStore
from bedplate.state.jobs import JobStore
from bedplate.state.measurements import MeasurementStore
from bedplate.state.metrics import MetricStore, insert_samples
from bedplate.state.runs import RunStore
from bedplate.state.services import ServiceStore
from bedplate.state.speeds import SpeedStore
from bedplate.state.steps import StepStore
from bedplate.state.tenants import TenantStore
from bedplate.state.users import UserStore


class StateStore:
    """Runs, steps, events, metrics and measurements at one place. Thread-safe; several processes may share it.

    Every method of its stores may raise `UnavailableError` (locked, full, not reachable) and `IntegrityError` (damaged).
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.database = database
        self.clock = clock or SystemClock()
        self.runs = RunStore(database, self.clock)
        self.steps = StepStore(database, self.clock)
        self.measurements = MeasurementStore(database)
        self.gangs = GangStore(database)
        self.exclusions = ExclusionStore(database)
        self.locks = RunLocks(database)
        self.events = EventStore(database)
        self.metrics = MetricStore(database)
        self.jobs = JobStore(database, self.clock)
        self.tenants = TenantStore(database)
        self.users = UserStore(database, self.clock)
        self.drains = DrainStore(database, self.clock)
        self.speeds = SpeedStore(database)
        self.services = ServiceStore(database)

    @classmethod
    def open(cls, location: StateLocation, clock: Clock | None = None) -> StateStore:
        """The state at `location`, made when it does not exist, upgraded when an older bedplate made it.

        Raises:
            UnavailableError: It cannot be reached, opened, made or written (full disk, permissions).
            IntegrityError: What is there is damaged, not a state, or a newer bedplate's.
        """
        database = open_database(location, create=True)
        assert database is not None
        return cls(database, clock)

    @classmethod
    def open_existing(cls, location: StateLocation, clock: Clock | None = None) -> StateStore | None:
        """The state at `location`, or None when nothing was ever stored there; makes nothing.

        One that cannot be written is opened for reading: its writes raise `UnavailableError`.
        """
        database = open_database(location, create=False)
        return None if database is None else cls(database, clock)

    def append(self, events: Sequence[dict[str, Any]], samples: Sequence[dict[str, Any]]) -> None:
        """Store rows of events and samples, in order, in one transaction; `StateSink` calls this."""
        with self.database.writing() as connection:
            insert_events(self.database, connection, events)
            insert_samples(connection, samples)

    def close(self) -> None:
        """Release connections."""
        self.database.close()
