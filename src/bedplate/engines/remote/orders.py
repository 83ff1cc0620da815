"""What a driver asks of an agent: one dataclass an order, which names its answer (`answers.py`) where that is not `Done`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bedplate.core.allocation import NodeAllocation
from bedplate.core.devices import Exclusion
from bedplate.core.workload import Gang, Placement
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
    only: NodeAllocation | None = None
    """What of the node the engine may use; None: all."""
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
class ReadMachine:
    """Read the machine anew, whatever sessions there are; `Described`."""

    node_reader: str
    """Function that reads it; see `engines/node_reader.py`."""
    kind: Literal["read-machine"] = "read-machine"


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
    | ReadMachine
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
