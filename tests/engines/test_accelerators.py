"""Conformance: an accelerator goes to one task at a time, which sees it and no other."""

from dataclasses import replace

import pytest

from bedplate.core.errors import ResourcesError
from bedplate.core.workload import Resources, Task, TaskState
from bedplate.engines.base import Engine
from tests.engines.registry import CARD
from tests.engines.seen import seen_by
from tests.engines.workloads import endless, finishing, gang, task

pytestmark = pytest.mark.needs("accelerators")
WITH_CARD = Resources(cpus=1, accelerators=1, accelerator=CARD.model)


def needing_a_card(wanted: Task) -> Task:
    return replace(wanted, resources=WITH_CARD)


def test_an_accelerator_is_given_to_one_task_until_it_ends(engine: Engine) -> None:
    num_cards = sum(device.id == CARD.id for node in engine.resources() for device in node.devices)
    held = [engine.submit(gang(needing_a_card(endless()))) for _ in range(num_cards)]
    assert [engine.status(handle).tasks[0].devices for handle in held] == [(CARD.id,)] * num_cards
    with pytest.raises(ResourcesError, match="1 accelerators"):
        engine.submit(gang(needing_a_card(finishing())))
    engine.cancel(held[0])
    assert engine.wait(engine.submit(gang(needing_a_card(finishing())))).state is TaskState.DONE


@pytest.mark.needs("execution")
def test_a_task_sees_only_the_accelerator_it_was_given(engine: Engine) -> None:
    assert CARD.visibility is not None
    status = engine.wait(engine.submit(gang(needing_a_card(task("describe")), task("describe"))))
    seen = [seen_by(item).environment[CARD.visibility.variable] for item in status.tasks]
    assert seen == [CARD.visibility.word, ""]
