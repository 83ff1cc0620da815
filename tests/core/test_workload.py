"""The state of a gang follows from the states of its tasks."""

import pytest

from bedplate.core.devices import Device, DeviceRates, Node
from bedplate.core.task import TaskContext
from bedplate.core.workload import GangStatus, TaskState, TaskStatus


def gang_of(*states: TaskState) -> GangStatus:
    return GangStatus(name="gang", tasks=tuple(TaskStatus(rank=rank, state=state) for rank, state in enumerate(states)))


DONE, FAILED, CANCELLED, RUNNING, WAITING = (
    TaskState.DONE,
    TaskState.FAILED,
    TaskState.CANCELLED,
    TaskState.RUNNING,
    TaskState.WAITING,
)


@pytest.mark.parametrize(
    ("states", "state", "is_final"),
    [
        ((DONE, DONE), DONE, True),
        ((DONE, FAILED), FAILED, True),
        ((RUNNING, FAILED), FAILED, False),
        ((CANCELLED, DONE), CANCELLED, True),
        ((CANCELLED, FAILED), FAILED, True),
        ((RUNNING, DONE), RUNNING, False),
        ((WAITING, RUNNING), RUNNING, False),
        ((WAITING, DONE), WAITING, False),
    ],
)
def test_the_worst_state_names_the_gang(states: tuple[TaskState, ...], state: TaskState, is_final: bool) -> None:
    assert gang_of(*states).state is state
    assert gang_of(*states).is_final is is_final


def test_three_states_are_final() -> None:
    assert {state for state in TaskState if state.is_final} == {DONE, FAILED, CANCELLED}


def test_a_node_counts_the_cores_of_its_cpus_only() -> None:
    def device(name: str, kind: str, cores: tuple[int, ...]) -> Device:
        return Device(id=name, kind=kind, vendor="v", model="m", memory_bytes=1, cores=cores)

    node = Node(id="n", memory_bytes=2, devices=(device("cpu:0", "cpu", (0, 1)), device("cuda:0", "gpu", (0, 1))))
    assert node.num_cores == 2


def test_rates_that_were_not_measured_are_null_in_json() -> None:
    assert DeviceRates(matmul_flops={"fp32": 1e9}).as_json() == {
        "matmul_flops": {"fp32": 1e9, "bf16": None, "int8": None},
        "memory_bandwidth_bytes_per_s": None,
        "disturbed": [],
    }


def test_a_context_speaks_through_its_channel() -> None:
    heard: list[object] = []

    class Channel:
        def heartbeat(self) -> None:
            heard.append("beat")

        def progress(self, attributes: object) -> None:
            heard.append(attributes)

    context = TaskContext(gang="g", rank=0, world_size=1, rendezvous="127.0.0.1:1", spec={}, channel=Channel())
    context.heartbeat()
    context.progress(step=3, loss=2.5)
    assert heard == ["beat", {"step": 3, "loss": 2.5}]
