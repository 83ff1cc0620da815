"""What a driver and its agents say to each other: bytes of JSON, by the one codec (`core/messages.py`).

Each order goes to the session of one engine of the driver and gets one answer. Both travel in an envelope that begins with the
version of bedplate that wrote it: an agent of another version is refused by that, before anything of the message is understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from bedplate._version import __version__
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import MessageError
from bedplate.core.json import Json, JsonObject
from bedplate.core.messages import decode, to_bytes
from bedplate.core.workload import Gang, Placement, TaskEvent
from bedplate.engines.local.start import GangPart
from bedplate.engines.remote.transport import RemoteNode


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """Begin the session of an engine."""

    root: str
    """Logs and scratch directories go under it."""
    node: RemoteNode
    """The node that the agent is on, as the cluster manager sees it."""
    node_reader: str
    """Function that reads the machine; see `engines/node_reader.py`."""
    exclusions: tuple[Exclusion, ...] = ()
    driver_path: tuple[str, ...] = ()
    """Where the driver imports from; tasks look there first. bedplate itself must be installed on the node."""
    hidden_packages: tuple[str, ...] = ()
    """Packages of the transport whose own folders tasks must not import from."""
    kind: Literal["open"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession:
    """End everything of an engine."""

    kind: Literal["close"] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Say what the node is, as its machine sees itself; `Described`."""

    kind: Literal["describe"] = "describe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Place nothing on these cores any more."""

    cores: tuple[int, ...]
    reason: str
    kind: Literal["exclude"] = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRendezvous:
    """Reserve a port for a gang whose rank 0 runs here; `Text`, `host:port`."""

    key: str
    kind: Literal["hold-rendezvous"] = "hold-rendezvous"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRendezvous:
    """Give the port of a gang back, if this node holds it."""

    key: str
    kind: Literal["release-rendezvous"] = "release-rendezvous"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPart:
    """Start the part of a gang that runs here; `Placed`."""

    key: str
    gang: Gang
    """The tasks of the part."""
    part: GangPart
    placement: Placement | None = None
    """Their places; None: the agent chooses."""
    kind: Literal["start"] = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Drop what is kept of a part that has ended."""

    key: str
    kind: Literal["forget"] = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """Not all of a gang could be started: end what of it runs here, even if its start is still under way."""

    key: str
    kind: Literal["abandon"] = "abandon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Say what has happened to a part; `Heard`."""

    key: str
    after: int
    """First sequence number wanted."""
    wait_s: float
    """With nothing to say, wait up to this long."""
    kind: Literal["listen"] = "listen"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPart:
    """End a part; answered when it is gone."""

    key: str
    grace_s: float
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillTask:
    """Send a signal to one task of a part."""

    key: str
    index: int
    """Position in the part."""
    signal: int
    kind: Literal["kill"] = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog:
    """The log of one task of a part; `Text`."""

    key: str
    index: int
    """Position in the part."""
    kind: Literal["log"] = "log"


Order: TypeAlias = (
    OpenSession
    | CloseSession
    | Describe
    | Exclude
    | HoldRendezvous
    | ReleaseRendezvous
    | StartPart
    | Forget
    | Abandon
    | Listen
    | CancelPart
    | KillTask
    | ReadLog
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done."""

    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An address, or a log."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the node is."""

    node: Node
    kind: Literal["described"] = "described"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where the tasks of a part run."""

    placement: Placement
    kind: Literal["placed"] = "placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What has happened to a part, whose tasks and events count from 0."""

    events: tuple[TaskEvent, ...]
    heartbeats_s: tuple[float | None, ...]
    """Time of the last heartbeat of each of its tasks."""
    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It could not be done."""

    error: JsonObject
    """`BedplateError.as_json`."""
    kind: Literal["failed"] = "failed"


Answer: TypeAlias = Done | Text | Described | Placed | Heard | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnvelope:
    """An order as it travels."""

    bedplate: str = __version__
    engine: str
    """Name of the session."""
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEnvelope:
    """An answer as it travels."""

    bedplate: str = __version__
    answer: Answer


def pack_order(engine: str, order: Order) -> bytes:
    """An order for the session `engine`, to be sent."""
    return to_bytes(OrderEnvelope(engine=engine, order=order))


def read_order(data: bytes) -> OrderEnvelope:
    """An order that was received.

    Raises:
        MessageError: It is of another version of bedplate, or no order.
    """
    return _read(OrderEnvelope, data)


def pack_answer(answer: Answer) -> bytes:
    """An answer, to be sent."""
    return to_bytes(AnswerEnvelope(answer=answer))


def read_answer(data: bytes) -> Answer:
    """An answer that was received.

    Raises:
        MessageError: It is of another version of bedplate, or no answer.
    """
    return _read(AnswerEnvelope, data).answer


E = TypeVar("E", OrderEnvelope, AnswerEnvelope)


def _read(cls: type[E], data: bytes) -> E:
    try:
        document: Json = json.loads(data)
    except ValueError as error:
        raise MessageError("not a message of bedplate", seen=repr(data[:80]), expected="JSON") from error
    version = document.get("bedplate") if isinstance(document, Mapping) else None
    if version != __version__:
        raise MessageError(
            "a message of another version of bedplate",
            seen="no version" if version is None else version,
            expected=__version__,
            next_step="install the same version of bedplate on every node",
        )
    return decode(cls, document)
