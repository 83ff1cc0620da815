"""Accelerators on a real Ray cluster: a placement says where, the agent of that node gives them out once."""

from dataclasses import replace

import pytest

from bedplate.core.errors import ResourcesError
from bedplate.core.workload import Placement, Resources, Task, TaskPlacement
from bedplate.engines.remote.engine import RemoteEngine
from tests.engines.registry import CARD, ray_cluster
from tests.engines.seen import seen_by
from tests.engines.workloads import endless, gang, task

ON_CARD = Resources(cpus=1, accelerators=1, accelerator=CARD.model)


def on_card(wanted: Task) -> Task:
    return replace(wanted, resources=ON_CARD)


def placed(node: str, core: int) -> Placement:
    return Placement(tasks=(TaskPlacement(node=node, cores=(core,), devices=(CARD.id,)),))


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, engine: RemoteEngine) -> RemoteEngine:
    """An engine whose agents find a card on their node."""
    monkeypatch.setattr(ray_cluster()[1], "node_reader", "tests.engines.registry:node_with_card")
    return engine


def test_a_placed_task_gets_its_nodes_card_and_no_second_one_does(cards: RemoteEngine) -> None:
    core = cards.resources()[0].cores[0]
    held = cards.submit(gang(on_card(endless())), placed("node-1", core))
    assert [(item.node, item.devices) for item in cards.status(held).tasks] == [("node-1", (CARD.id,))]
    with pytest.raises(ResourcesError, match=r"card:0"):
        cards.submit(gang(on_card(endless())), placed("node-1", core))
    seen = cards.wait(cards.submit(gang(on_card(task("describe"))), placed("node-2", core)))
    assert CARD.visibility is not None
    assert seen_by(seen.tasks[0]).environment[CARD.visibility.variable] == CARD.visibility.word
    cards.cancel(held)
