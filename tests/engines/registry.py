"""Engines that must pass the suite, how each is opened, and what each cannot do, with its reason.

An engine joins by one class with these attributes and one line in `ENGINES`. A test names what it needs beyond the bare
contract with `@pytest.mark.needs("…")`. An engine without it says why in `GAPS`: the test then runs and must fail in the
way declared there. A gap that was filled is an unexpected pass, and that fails the build: delete its line.
"""

import atexit
import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bedplate.app.wiring import local_engine
from bedplate.compute.inventory import this_node
from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Device, Node, Visibility
from bedplate.core.errors import UnavailableError
from bedplate.engines.base import CanLoseNodes, Engine
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.remote.engine import RemoteEngine
from bedplate.engines.simulated.engine import SimulatedEngine

if TYPE_CHECKING:
    from bedplate.engines.ray.cluster import LocalRayCluster
    from bedplate.engines.ray.transport import RayTransport


CARD = Device(
    id="card:0",
    kind="npu",
    vendor="a vendor",
    model="Card 1",
    memory_bytes=2**30,
    visibility=Visibility(variable="BEDPLATE_TEST_VISIBLE_CARDS", word="the-seventh-card"),
)
"""An accelerator that only the books know: what an engine does with one needs no driver."""


class EngineUnderTest(Protocol):
    """One opened engine, and the levers that the suite needs."""

    @property
    def engine(self) -> Engine:
        """The engine itself."""
        ...

    num_nodes: int
    num_cores: int
    """Tasks of one core that fit at once: a core that is listed twice counts twice."""
    patience_s: float
    """Longest time that anything in the suite may take on it."""

    def let_pass(self, duration_s: float) -> None:
        """Let time go by, in whatever time the engine lives."""
        ...

    def lose_node(self, node_id: str) -> None:
        """Make a node go away while work runs on it."""
        ...

    def close(self) -> None:
        """Close the engine, and what was started for it."""
        ...


class LocalUnderTest:
    num_nodes = 1
    num_cores = 2
    patience_s = 30.0

    def __init__(self, root: Path) -> None:
        usable = sorted(os.sched_getaffinity(0))
        node = this_node().with_cores((usable * 2)[:2])
        self.engine = LocalEngine(root, replace(node, devices=(*node.devices, CARD)))

    def let_pass(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def lose_node(self, node_id: str) -> None:
        raise NotImplementedError("the machine under the engine cannot be lost alone")

    def close(self) -> None:
        self.engine.close()


class SimulatedUnderTest:
    num_nodes = 3
    num_cores = 6
    patience_s = 3600.0

    def __init__(self, root: Path) -> None:
        self.clock = VirtualClock()
        nodes = [simulated_node(f"node-{index}", num_cores=2, card=CARD) for index in range(self.num_nodes)]
        self.engine = SimulatedEngine(self.clock, nodes)

    def let_pass(self, duration_s: float) -> None:
        self.clock.advance(duration_s)

    def lose_node(self, node_id: str) -> None:
        assert isinstance(self.engine, CanLoseNodes)
        self.engine.remove_node(node_id)

    def close(self) -> None:
        self.engine.close()


class RayUnderTest:
    num_nodes = 3
    num_cores = 6
    patience_s = 60.0

    def __init__(self, root: Path) -> None:
        self.cluster, transport = ray_cluster()
        self.engine = RemoteEngine(root, transport)

    def let_pass(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def lose_node(self, node_id: str) -> None:
        assert isinstance(self.engine, CanLoseNodes)
        self.engine.remove_node(node_id)

    def close(self) -> None:
        self.engine.close()
        self.cluster.restore()


class RemoteUnderTest:
    num_nodes = 3
    num_cores = 6
    patience_s = 30.0

    def __init__(self, root: Path) -> None:
        from tests.engines.remote.thread_transport import ThreadTransport

        self.transport = ThreadTransport("tests.engines.registry:node_with_card")
        self.engine = RemoteEngine(root, self.transport)

    def let_pass(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def lose_node(self, node_id: str) -> None:
        assert isinstance(self.engine, CanLoseNodes)
        self.engine.remove_node(node_id)

    def close(self) -> None:
        self.engine.close()
        self.transport.close()


def open_local_engine(root: Path, cores: Sequence[int]) -> LocalEngine:
    """A local engine of these cores as the wiring makes it, for tests of what only this kind has."""
    engine = local_engine(root, cores)
    assert isinstance(engine, LocalEngine)
    return engine


def node_with_card() -> Node:
    """This machine with an accelerator; agents read it by name."""
    node = this_node()
    return replace(node, devices=(*node.devices, CARD))


@functools.cache
def ray_cluster() -> "tuple[LocalRayCluster, RayTransport]":
    """Three raylets on this machine, and the way to them, for all tests of a session: starting them takes ten seconds."""
    from bedplate.engines.ray.cluster import LocalRayCluster
    from bedplate.engines.ray.transport import RayTransport

    cluster = LocalRayCluster(this_node(), (2, 2, 2))
    atexit.register(cluster.close)
    transport = RayTransport(node_reader="tests.engines.registry:node_with_card", cluster=cluster)
    atexit.register(transport.close)
    return cluster, transport


def simulated_node(name: str, num_cores: int, labels: dict[str, str] | None = None, card: Device | None = None) -> Node:
    cpu = Device(id="cpu:0", kind="cpu", vendor="any", model="any", memory_bytes=2**34, cores=tuple(range(num_cores)))
    return Node(id=name, devices=(cpu, card) if card else (cpu,), memory_bytes=2**34, labels=labels or {})


ENGINES: dict[str, Callable[[Path], EngineUnderTest]] = {
    "local": LocalUnderTest,
    "simulated": SimulatedUnderTest,
    "remote": RemoteUnderTest,
    "ray": RayUnderTest,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What an engine cannot do."""

    reason: str
    raises: tuple[type[Exception], ...]
    """What a test that needs it fails with."""


GAPS: dict[str, dict[str, Gap]] = {
    "local": {
        "node loss": Gap(
            reason="its only node is the machine that the engine itself runs on: losing it ends the engine too",
            raises=(NotImplementedError,),
        )
    },
    "simulated": {
        "execution": Gap(
            reason="nothing is executed: a task has a duration and an end, and no process that could look around",
            raises=(AssertionError, TypeError, UnavailableError),
        ),
        "files": Gap(reason="it writes none", raises=(FileNotFoundError,)),
        "inherited descriptors": Gap(reason="there is no process that could inherit one", raises=(AssertionError,)),
    },
    "remote": {
        "inherited descriptors": Gap(
            reason="an open file belongs to one kernel: it cannot cross to another machine", raises=(AssertionError,)
        )
    },
    "ray": {
        "inherited descriptors": Gap(
            reason="an open file belongs to one kernel: it cannot cross to another machine", raises=(AssertionError,)
        ),
    },
}
"""Engine -> what it cannot do -> why, and how that shows."""
