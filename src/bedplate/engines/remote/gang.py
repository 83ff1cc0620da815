"""One running gang on other machines: its parts on the nodes, and the thread that follows them.

The thread has one call out at each agent, which answers as soon as there is something to report. It ends when every part is
over or lost. A node that is lost takes its agent with it; the transport says so, and every task of the gang there ends with
`node-lost`.

Times come from the clocks of the nodes. They are entered as they are, but never before the time of the event before: within a
gang, time passes in one direction.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.core.clock import Clock
from bedplate.core.errors import AgentLostError, UnavailableError
from bedplate.core.implements import implements
from bedplate.core.workload import ExitCause, TaskEvent, TaskEventKind
from bedplate.engines.local.files import log_path, read_log
from bedplate.engines.record import GangRecord
from bedplate.engines.recorded import News, RunningGang
from bedplate.engines.remote.answers import Done, Heard, Text
from bedplate.engines.remote.conversation import Conversation
from bedplate.engines.remote.orders import CancelPart, Forget, KillTask, Listen, ReadLog
from bedplate.engines.remote.transport import ANSWER_S, Agent, Call, RemoteNode

_POLL_S = 1.0
"""A call for events waits this long on its node for something to report; heartbeats are this much behind at most."""


@dataclass(slots=True, kw_only=True)
class Part:
    """The tasks of a gang on one node."""

    agent: Agent
    node: RemoteNode
    ranks: tuple[int, ...]
    num_seen: int = 0
    is_over: bool = False


class RemoteGang:
    """Parts of a gang and what is known of them; implements `RunningGang`.

    Args:
        key: Name of the gang on every agent.
        record: Where its states and events are entered.
        parts: Its tasks by node.
        conversation: The way to the agents.
        directory: Where the logs of its tasks are kept once they have ended.
        changed: The engine's lock.
        clock: Times of what is found out here.
        on_end: Called once, when every task has ended.
    """

    def __init__(
        self,
        key: str,
        record: GangRecord,
        parts: Sequence[Part],
        *,
        conversation: Conversation,
        directory: Path,
        changed: News,
        clock: Clock,
        on_end: Callable[[], None],
    ) -> None:
        self.record = record
        self.parts = tuple(parts)
        self._key = key
        self._conversation = conversation
        self._directory = directory
        self._transport = conversation.transport
        self._changed = changed
        self._cancelling: list[Call] = []
        self._clock = clock
        self._on_end = on_end
        self._last_s = float("-inf")
        self._place = {rank: (part, index) for part in parts for index, rank in enumerate(part.ranks)}
        self._thread = threading.Thread(target=self._watch, name=f"watch-{key}", daemon=True)

    @implements(RunningGang)
    def follow(self) -> None:
        self._thread.start()

    def cancel(self, grace_s: float) -> None:
        """See `RunningGang.cancel`; nodes that are gone have nothing left to cancel."""
        with self._changed:
            parts = [part for part in self.parts if not part.is_over]
            order = CancelPart(key=self._key, grace_s=grace_s)
            self._cancelling += [self._conversation.order(part.agent, order) for part in parts]

    def wait_gone(self, grace_s: float) -> None:
        """Wait until nothing is left to follow.

        Raises:
            UnavailableError: A node did not say in time that its tasks are gone.
        """
        with self._changed:
            calls, self._cancelling = self._cancelling, []
        for call in calls:
            with contextlib.suppress(AgentLostError):
                self._conversation.answer(call, Done, grace_s + ANSWER_S)
        self._thread.join(grace_s + ANSWER_S)
        if self._thread.is_alive():
            raise UnavailableError(
                f"could not confirm that gang '{self.record.handle.id}' ended", next_step="check whether its nodes respond"
            )

    def kill(self, rank: int, signal: int) -> None:
        """Send a signal to one task, through the agent of its node; nothing where it has ended."""
        with self._changed:
            is_final = self.record.task(rank).state.is_final
        part, index = self._place[rank]
        if not is_final:
            order = KillTask(key=self._key, index=index, signal=signal)
            self._conversation.answer(self._conversation.order(part.agent, order), Done)

    def logs(self, rank: int) -> str:
        """Log of one task: from its node while it runs, from here once it has ended.

        The log of a task whose node was lost is lost with it, and the text says so.
        """
        kept = log_path(self._directory, rank)
        if not kept.exists():
            try:
                return self._fetch_log(rank)
            except AgentLostError:
                return f"the log went away with the node {self._place[rank][0].node.name}\n"
        return read_log(kept)

    def forget(self) -> None:
        """Let the agents drop what they keep of a gang that has ended."""
        for part in self.parts:
            self._conversation.order(part.agent, Forget(key=self._key))

    def _watch(self) -> None:
        try:
            self._follow()
        except Exception as error:  # any error: the caller that waits for the gang must not wait forever
            for part in self.parts:
                self._end(part, ExitCause.ERROR, f"the engine lost track of it: {error}")
            raise
        finally:
            self._on_end()

    def _follow(self) -> None:
        calls = {self._ask_for_events(part): part for part in self.parts}
        while calls:
            ready = self._transport.ready(list(calls), _POLL_S)
            for call in ready:
                part = calls.pop(call)
                self._hear(call, part)
                if not part.is_over:
                    calls[self._ask_for_events(part)] = part

    def _ask_for_events(self, part: Part) -> Call:
        return self._conversation.order(part.agent, Listen(key=self._key, after=part.num_seen, wait_s=_POLL_S))

    def _hear(self, call: Call, part: Part) -> None:
        """Enter what an agent answered. One that is out of reach for a moment is asked again, from the same event on."""
        try:
            heard = self._conversation.answer(call, Heard)
            self._keep_logs(part, heard.events)
        except AgentLostError:
            self._transport.forget(part.agent)
            self._lose(part)
        except UnavailableError:
            self._clock.wait(_POLL_S)
        else:
            self._enter(part, heard)

    def _keep_logs(self, part: Part, events: Sequence[TaskEvent]) -> None:
        """Copy the log of each task that has ended before its end is reported, so that it stays readable."""
        for event in events:
            if event.kind is TaskEventKind.EXITED:
                rank = part.ranks[event.rank]
                text = self._fetch_log(rank)
                try:
                    log_path(self._directory, rank).write_bytes(text.encode(errors="replace"))
                except OSError:  # the disk is full here: the agent still has it
                    log_path(self._directory, rank).unlink(missing_ok=True)

    def _fetch_log(self, rank: int) -> str:
        part, index = self._place[rank]
        order = ReadLog(key=self._key, index=index)
        return self._conversation.answer(self._conversation.order(part.agent, order), Text).text

    def _enter(self, part: Part, heard: Heard) -> None:
        with self._changed:
            for event in heard.events:
                part.num_seen = event.sequence + 1
                _repeat(self.record, event, part.ranks[event.rank], self._in_order(event.at_s))
            for rank, heartbeat_s in zip(part.ranks, heard.heartbeats_s, strict=True):
                if heartbeat_s is not None and not self.record.task(rank).state.is_final:
                    self.record.heartbeat(rank, heartbeat_s)
            part.is_over = all(self.record.task(rank).state.is_final for rank in part.ranks)

    def _lose(self, part: Part) -> None:
        """Its agent is gone. With the node; or alone, and then the node's keepers have ended the tasks with it."""
        if part.node.id in self._transport.nodes():
            self._end(part, ExitCause.SIGNAL, f"the agent on node {part.node.name} ended, and so did its tasks")
        else:
            self._end(part, ExitCause.NODE_LOST, f"node {part.node.name} went away")

    def _end(self, part: Part, cause: ExitCause, message: str) -> None:
        with self._changed:
            at_s = self._in_order(self._clock.now())
            for rank in part.ranks:
                if self.record.task(rank).state.is_final:
                    continue
                if cause is ExitCause.NODE_LOST:
                    self.record.node_lost(rank, at_s)
                self.record.exited(rank, at_s, exit_code=None, cause=cause, message=message)
            part.is_over = True

    def _in_order(self, at_s: float) -> float:
        self._last_s = max(self._last_s, at_s)
        return self._last_s


def _repeat(record: GangRecord, event: TaskEvent, rank: int, at_s: float) -> None:
    """Enter an agent's event into the gang's own record under the rank that the task has there."""
    attributes: Mapping[str, Any] = event.attributes
    if event.kind is TaskEventKind.STARTED:
        record.started(rank, at_s, attributes["pid"])
    elif event.kind is TaskEventKind.PROGRESS:
        record.progress(rank, at_s, attributes)
    elif event.kind is TaskEventKind.EXITED:
        record.exited(
            rank,
            at_s,
            exit_code=attributes["exit_code"],
            cause=ExitCause(attributes["cause"]),
            message=attributes["message"],
            result=attributes["result"],
        )
