"""One agent per node: local engines of that machine, reachable through a transport that carries bytes.

The driver decides which node carries which task; the agent pins, starts, watches and ends the process there, exactly as on a
single machine: same cores, limits, logs, causes, and no orphans. When the driver or the node's manager goes, the transport ends
the agent, and the keepers see that and end the tasks.

An agent serves all engines of one driver, each in a session with a local engine of its own. A gang has the same key on every
node, chosen by the driver, so that a call whose answer was lost can be undone by name (`Abandon`).
"""

from __future__ import annotations

import os
import threading
import traceback
from typing import assert_never

from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError, NotFoundError, UnavailableError
from bedplate.engines.node_reader import read_node
from bedplate.engines.remote.answers import Answer, Described, Done, Failed, Placed, Text
from bedplate.engines.remote.messages import pack_answer, read_order
from bedplate.engines.remote.orders import (
    Abandon,
    CancelPart,
    CloseSession,
    Describe,
    Exclude,
    Forget,
    HoldRendezvous,
    KillTask,
    Listen,
    OpenSession,
    Order,
    ReadLog,
    ReadMachine,
    ReleaseRendezvous,
    StartPart,
)
from bedplate.engines.remote.session import AgentSession


class NodeAgent:
    """The part of remote engines that lives on one node. Thread-safe: a transport calls it from threads of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, AgentSession] = {}
        self._machines: dict[str, Node] = {}
        """This machine, as each node reader that was named has read it."""

    def serve(self, request: bytes) -> bytes:
        """Carry out an order; never raises: what goes wrong is the answer."""
        try:
            envelope = read_order(request)
            return pack_answer(self._obey(envelope.engine, envelope.order))
        except BedplateError as error:
            return pack_answer(_failed(error))
        except Exception as error:  # any error: the driver must hear of it, and the transport knows only bytes
            traceback.print_exc()
            unexpected = UnavailableError(
                "a node's agent met an unexpected error", seen=repr(error), next_step="see the agent's own log on its node"
            )
            return pack_answer(_failed(unexpected))

    def close(self) -> None:
        """End everything of all engines: for a transport whose line to the driver has gone."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()

    def _obey(self, engine: str, order: Order) -> Answer:
        match order:
            case OpenSession():
                return self._open(engine, order)
            case CloseSession():
                return self._close(engine)
            case ReleaseRendezvous() | Forget() | Abandon():
                return self._drop(engine, order)
            case Describe():
                return Described(node=self._session(engine).describe())
            case ReadMachine():
                return Described(node=read_node(order.node_reader))
            case Exclude():
                self._session(engine).exclude(order.cores, order.reason)
            case HoldRendezvous():
                return Text(text=self._session(engine).hold_rendezvous(order.key))
            case StartPart():
                return Placed(placement=self._session(engine).start(order))
            case Listen():
                return self._session(engine).listen(order.key, order.after, order.wait_s)
            case CancelPart():
                self._session(engine).cancel(order.key, order.grace_s)
            case KillTask():
                self._session(engine).kill(order.key, order.index, order.signal)
            case ReadLog():
                return Text(text=self._session(engine).log(order.key, order.index))
            case _:
                assert_never(order)
        return Done()

    def _open(self, engine: str, order: OpenSession) -> Done:
        # The transport may have pinned this thread; which cores a task gets is the local engine's business.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        with self._lock:
            if order.node_reader not in self._machines:
                self._machines[order.node_reader] = read_node(order.node_reader)
            self._sessions[engine] = AgentSession(order, self._machines[order.node_reader])
        return Done()

    def _close(self, engine: str) -> Done:
        with self._lock:
            session = self._sessions.pop(engine, None)
        if session is not None:
            session.close()
        return Done()

    def _drop(self, engine: str, order: ReleaseRendezvous | Forget | Abandon) -> Done:
        """Orders that ask for something not to be there: done already where the session is not."""
        with self._lock:
            session = self._sessions.get(engine)
        if session is not None:
            match order:
                case ReleaseRendezvous():
                    session.release_rendezvous(order.key)
                case Forget():
                    session.forget(order.key)
                case Abandon():
                    session.abandon(order.key)
        return Done()

    def _session(self, engine: str) -> AgentSession:
        with self._lock:
            if engine not in self._sessions:
                raise NotFoundError(
                    f"engine '{engine}' is not open on this node", expected=", ".join(self._sessions) or "none is"
                )
            return self._sessions[engine]


def _failed(error: BedplateError) -> Failed:
    texts = {name: None if value is None else str(value) for name, value in error.as_json().items()}
    return Failed(error=texts)
