"""The scheduler's loop body: look at what happened, decide, write it down, do it.

    nodes that came and went -> new jobs and cancellations -> processes that ended -> decide -> one transaction -> processes

Whatever fails on the way, nothing is lost: the book is made again from what is on record (`book.py`), and what was written and
not done is done then. Before anything is decided the lock is asked: who lost it decides nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from bedplate.app.control.launching.launcher import Launcher
from bedplate.app.control.scheduling.achieved import note_achieved
from bedplate.app.control.scheduling.batch import Batch
from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.capacity import CapacityFollower
from bedplate.app.control.scheduling.carry_out import carry_out
from bedplate.app.control.scheduling.device_facts import DeviceFacts
from bedplate.app.control.scheduling.endings import Why, ending_of
from bedplate.app.control.scheduling.following import after_ending, follow_nodes, lose, stop, take_up
from bedplate.app.control.scheduling.learning import learn
from bedplate.compute.costs.prices import Prices
from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.devices import Node
from bedplate.core.errors import LockLostError, UnavailableError
from bedplate.core.events.kinds import SchedulerStarted
from bedplate.state.job_records import PLACED, JobRecord, Phase
from bedplate.state.store import StateStore

KILL_AFTER_S = 5.0
"""What a process gets beyond its grace: for tasks that are killed to be seen gone."""


class Controller:
    """One scheduler over one state. Thread-safe; `step` is called by one thread.

    Args:
        state: The queue, and all that must survive.
        nodes: Which nodes there are now; quick.
        launcher: The processes of jobs.
        is_held: Whether this is still the only scheduler; see `scheduler_lock.py`.
        settings: How to decide.
        capacity: How services follow their load; they keep their fewest replicas if None.
        prices: What the operator says that devices cost.
    """

    def __init__(
        self,
        *,
        state: StateStore,
        nodes: Callable[[], tuple[Node, ...]],
        launcher: Launcher,
        is_held: Callable[[], bool] = lambda: True,
        settings: SchedulerSettings | None = None,
        capacity: CapacityFollower | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._state, self._nodes, self._launcher, self._is_held = state, nodes, launcher, is_held
        self._settings, self._capacity, self._prices = settings or SchedulerSettings(), capacity, prices
        self._lock = threading.RLock()
        self._book: JobBook | None = None
        self._seen = 0
        """Number of the newest job that is in the book."""

    def step(self) -> int:
        """One pass; returns how many decisions were made.

        Raises:
            LockLostError: Another scheduler took over; nothing was decided.
            UnavailableError: The state cannot be reached; nothing was decided, and the next pass tries again.
        """
        with self._lock:
            if not self._is_held():
                self._book = None
                raise LockLostError(
                    "another scheduler took over this state",
                    expected="one scheduler per state",
                    next_step="use the other one, or end it and start this one again",
                )
            try:
                return self._pass()
            except BaseException:
                self._book = None  # what is on record is right
                raise

    @contextmanager
    def book(self) -> Iterator[JobBook]:
        """The book, to look at; nothing moves while inside.

        Raises:
            UnavailableError: The state cannot be reached.
        """
        with self._lock:
            if self._book is None:
                self._load(Batch(now_s=self._state.clock.now()))
            assert self._book is not None
            yield self._book

    def stop_all(self) -> None:
        """Ask every job's process to end; the jobs wait again, and resume when a scheduler comes."""
        with self.book() as book:
            batch = Batch(now_s=self._state.clock.now())
            for record in tuple(book.records.values()):
                if record.phase in PLACED:
                    stop(book, batch, record, Why.SERVICE_STOPPED, "the service is ending")
            batch.commit(self._state)
            self._act(batch)

    def num_placed(self) -> int:
        """Jobs that hold places."""
        with self.book() as book:
            return sum(record.phase in PLACED for record in book.records.values())

    def settle(self) -> None:
        """Take note of processes that have ended, and decide nothing."""
        with self.book():
            batch = Batch(now_s=self._state.clock.now())
            self._follow_processes(batch)
            batch.launches.clear()
            batch.commit(self._state)
            self._act(batch)

    def _pass(self) -> int:
        batch = Batch(now_s=self._state.clock.now())
        if self._book is None:
            self._load(batch)
        book = self._book
        assert book is not None
        follow_nodes(book, batch, self._nodes())
        book.set_quotas(self._state.tenants.all())
        book.set_drained({item.node_id: item.reason for item in self._state.drains.all()})
        for record in self._state.jobs.news(self._seen):
            self._seen = max(self._seen, record.number)
            take_up(book, batch, record)
        self._follow_processes(batch)
        if self._capacity is not None:
            self._capacity.apply(book, batch)
        learn(book, self._state, batch.now_s)
        decisions = decide(book.scheduler, batch.now_s)
        for decision in decisions:
            carry_out(book, batch, decision)
        batch.commit(self._state)
        self._act(batch)
        return len(decisions)

    def _load(self, batch: Batch) -> None:
        """The book from what is on record; what was being started when the last scheduler ended is started again.

        A process that was launched then and has not said that it runs is of an attempt that is over: it leaves by itself.
        """
        records = self._state.jobs.opened()
        facts = DeviceFacts(self._prices, self._state.speeds.all())
        book = JobBook.load(records, self._nodes(), self._state.tenants.all(), self._settings, batch.now_s, facts)
        adopted = 0
        for record in records:
            is_up = record.phase in PLACED and self._launcher.is_alive(record.id)
            adopted += is_up
            if record.phase is Phase.STARTING and not is_up:
                book.change(batch, record.id, attempt=record.attempt + 1)
                batch.launches.append(record.id)
            elif record.phase is Phase.STOPPING and is_up:
                batch.asked.append(record.id)
        for node_id in sorted(book.held_back):
            lose(book, batch, node_id)
        for job_id in sorted(book.adrift):
            if (book.records[job_id].stop or {}).get("why") != Why.CANCELLED:
                stop(book, batch, book.records[job_id], Why.NODE_LOST, "a node under it is not there any more")
        self._seen = max((record.number for record in records), default=0)
        self._book = book
        waiting = sum(record.phase is Phase.WAITING for record in records)
        batch.note_service(
            SchedulerStarted(waiting=waiting, adopted=adopted), f"{waiting} jobs wait, {adopted} are running already"
        )

    def _follow_processes(self, batch: Batch) -> None:
        book = self._book
        assert book is not None
        for record in tuple(book.records.values()):
            if record.phase not in PLACED or record.id in batch.launches:
                continue
            if self._launcher.is_alive(record.id):
                if record.phase is Phase.STOPPING and batch.now_s > _kill_at_s(record):
                    batch.killed.append(record.id)
            elif (fresh := self._state.jobs.get(record.id)) is not None:  # read after it was found gone: it says all there is
                self._end(batch, replace(fresh, stop=record.stop, cancelled_by=record.cancelled_by or fresh.cancelled_by))

    def _end(self, batch: Batch, record: JobRecord) -> None:
        book = self._book
        assert book is not None
        book.records[record.id] = record
        note_achieved(book, batch, self._state, record)
        has_lost_node = any(book.cores.node(part.node) is None for part in book.placed[record.id].nodes)
        after_ending(book, batch, record, ending_of(record, has_lost_node=has_lost_node))

    def _act(self, batch: Batch) -> None:
        book = self._book
        assert book is not None
        for job_id in batch.asked:
            self._launcher.ask_to_end(job_id)
        for job_id in batch.killed:
            self._launcher.kill(job_id)
        for job_id in batch.launches:
            try:
                self._launcher.launch(book.records[job_id], book.placed[job_id])
            except UnavailableError:  # found by the next pass: no process of it comes up
                continue


def _kill_at_s(record: JobRecord) -> float:
    asked_at_s = (record.stop or {}).get("asked_at_s")
    grace_s = record.terms.get("grace_s")
    assert isinstance(asked_at_s, int | float) and isinstance(grace_s, int | float)
    return asked_at_s + grace_s + KILL_AFTER_S
