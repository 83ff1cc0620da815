"""An engine that is opened for an allocation shows and places on nothing else."""

from pathlib import Path

import pytest

from bedplate.app.wiring import engine_factory
from bedplate.core.allocation import NodeAllocation
from bedplate.core.errors import ResourcesError
from bedplate.core.workload import Placement, TaskPlacement, TaskState
from bedplate.engines.base import Engine
from bedplate.engines.remote.engine import RemoteEngine
from tests.engines.registry import CARD
from tests.engines.remote.thread_transport import ThreadTransport
from tests.engines.test_accelerators import needing_a_card
from tests.engines.workloads import endless, finishing, gang


def test_the_local_engine_has_the_given_cores_only(tmp_path: Path) -> None:
    whole = engine_factory("local")(tmp_path / "whole")
    (node,) = whole.resources()
    whole.close()
    part = engine_factory("local", (NodeAllocation(node=node.id, cores=node.cores[-1:]),))(tmp_path / "part")
    try:
        assert part.resources()[0].cores == node.cores[-1:]
        (task,) = part.wait(part.submit(gang(finishing()))).tasks
        assert (task.state, task.cores) == (TaskState.DONE, node.cores[-1:])
        with pytest.raises(ResourcesError):
            part.submit(gang(finishing(), finishing()))
    finally:
        part.close()


def test_an_allocation_whose_nodes_have_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourcesError, match="no node of this job"):
        engine_factory("local", (NodeAllocation(node="elsewhere", cores=(0,)),))(tmp_path)


def test_the_simulated_engine_has_the_given_nodes_only(tmp_path: Path) -> None:
    given = (NodeAllocation(node="node-1", cores=(0, 1)), NodeAllocation(node="node-3", cores=(2,)))
    engine = engine_factory("simulated://4x4", given)(tmp_path)
    assert [(node.id, node.cores) for node in engine.resources()] == [("node-1", (0, 1)), ("node-3", (2,))]


@pytest.fixture
def transport() -> ThreadTransport:
    return ThreadTransport("tests.engines.registry:node_with_card")


def test_a_remote_engine_places_on_the_given_cores_and_cards_by_itself(tmp_path: Path, transport: ThreadTransport) -> None:
    names = sorted(node.name for node in transport.nodes().values())
    given = NodeAllocation(node=names[1], cores=cores_of(tmp_path, transport, names[1])[:1], devices=(CARD.id,))
    engine = RemoteEngine(tmp_path / "part", transport, only=(given,))
    try:
        assert [(node.id, node.cores) for node in engine.resources()] == [(given.node, given.cores)]
        held = engine.submit(gang(needing_a_card(endless())))
        (task,) = engine.status(held).tasks
        assert (task.node, task.cores, task.devices) == (given.node, given.cores, given.devices)
        with pytest.raises(ResourcesError):
            engine.submit(gang(finishing()))
        elsewhere = Placement(tasks=(TaskPlacement(node=names[0], cores=given.cores),))
        with pytest.raises(ResourcesError):
            engine.submit(gang(finishing()), elsewhere)
    finally:
        engine.close()
        transport.close()


def cores_of(root: Path, transport: ThreadTransport, name: str) -> tuple[int, ...]:
    engine: Engine = RemoteEngine(root / "whole", transport)
    try:
        return next(node.cores for node in engine.resources() if node.id == name)
    finally:
        engine.close()
