"""What only the simulated engine can be asked: virtual time, exactly, and a great deal of it."""

import time

import pytest

from bedplate.core.clock import VirtualClock
from bedplate.core.errors import ConfigurationError, UnavailableError, UsageError
from bedplate.core.json import Json
from bedplate.core.workload import ExitCause, Gang, Resources, Task, TaskEventKind, TaskState
from bedplate.engines.base import CanExclude, CanInheritDescriptors, CanLoseNodes, FaultInjection
from bedplate.engines.simulated.engine import SimulatedEngine
from tests.engines.registry import simulated_node


def make_engine(num_nodes: int = 2, num_cores: int = 4) -> tuple[VirtualClock, SimulatedEngine]:
    clock = VirtualClock()
    return clock, SimulatedEngine(clock, [simulated_node(f"node-{i}", num_cores, {"rack": str(i)}) for i in range(num_nodes)])


def lasting(duration_s: float | None, **simulated: Json) -> Task:
    return Task(entry="a:b", duration_s=duration_s, spec={"simulated": simulated} if simulated else {})


def test_it_has_the_capabilities_that_it_claims() -> None:
    _, engine = make_engine()
    assert isinstance(engine, FaultInjection)
    assert isinstance(engine, CanExclude)
    assert isinstance(engine, CanLoseNodes)
    assert not isinstance(engine, CanInheritDescriptors)


def test_a_task_takes_exactly_its_duration() -> None:
    clock, engine = make_engine()
    handle = engine.submit(Gang(name="long", tasks=(lasting(86_400.0), lasting(3600.0))))
    assert clock.now() == 0.0
    assert engine.wait(handle).state is TaskState.DONE
    assert clock.now() == 86_400.0
    assert [event.at_s for event in engine.events(handle) if event.kind is TaskEventKind.EXITED] == [3600.0, 86_400.0]


def test_waiting_with_a_timeout_moves_the_clock_by_no_more() -> None:
    clock, engine = make_engine()
    handle = engine.submit(Gang(name="long", tasks=(lasting(100.0),)))
    assert not engine.wait(handle, timeout_s=30.0).is_final
    assert clock.now() == 30.0
    assert engine.events(handle, after=1, wait_s=50.0) == ()
    assert clock.now() == 80.0
    assert [event.at_s for event in engine.events(handle, after=1, wait_s=50.0)] == [100.0]


def test_the_end_told_in_the_spec_wins_over_the_duration() -> None:
    clock, engine = make_engine()
    handle = engine.submit(Gang(name="fails", tasks=(lasting(100.0, exit_code=3, at_s=2.0, message="lost its link"),)))
    (ended,) = engine.wait(handle).tasks
    assert (clock.now(), ended.exit_code, ended.cause, ended.message) == (2.0, 3, ExitCause.ERROR, "lost its link")


def test_a_signal_told_in_the_spec_ends_it_by_signal() -> None:
    _, engine = make_engine()
    (ended,) = engine.wait(engine.submit(Gang(name="killed", tasks=(lasting(1.0, exit_code=-11),)))).tasks
    assert (ended.exit_code, ended.cause) == (-11, ExitCause.SIGNAL)


def test_silence_is_judged_at_the_exact_deadline() -> None:
    clock, engine = make_engine()
    handle = engine.submit(Gang(name="hangs", heartbeat_timeout_s=60.0, tasks=(lasting(1000.0, silent_after_s=300.0),)))
    assert engine.wait(handle).tasks[0].cause is ExitCause.HUNG
    assert clock.now() == 360.0


def test_a_misspelt_behaviour_is_named_with_the_right_word() -> None:
    _, engine = make_engine()
    with pytest.raises(ConfigurationError, match="exit_cod") as caught:
        engine.submit(Gang(name="misspelt", tasks=(lasting(1.0, exit_cod=1),)))
    assert "exit_code" in str(caught.value.next_step)


def test_waiting_for_what_cannot_come_is_an_error_not_a_hang() -> None:
    _, engine = make_engine()
    with pytest.raises(UnavailableError, match="will never happen"):
        engine.wait(engine.submit(Gang(name="endless", tasks=(lasting(None),))))


def test_descriptors_are_refused() -> None:
    _, engine = make_engine()
    with pytest.raises(UsageError, match="descriptors"):
        engine.submit(Gang(name="memory", tasks=(Task(entry="a:b", inherited={"memory": 0}),)))


def test_a_gang_goes_to_nodes_with_its_labels() -> None:
    _, engine = make_engine()
    handle = engine.submit(Gang(name="labelled", tasks=(lasting(1.0),) * 4, node_labels={"rack": "1"}))
    assert {task.node for task in engine.status(handle).tasks} == {"node-1"}


def test_ends_of_a_cancelled_gang_do_not_fire_later() -> None:
    clock, engine = make_engine()
    handle = engine.submit(Gang(name="cancelled", tasks=(lasting(5.0), lasting(5.0))))
    engine.cancel(handle)
    before = engine.events(handle)
    clock.run()
    assert engine.events(handle) == before


def test_two_runs_tell_the_same_story() -> None:
    def story() -> list[tuple[float, str, int]]:
        _, engine = make_engine()
        first = engine.submit(Gang(name="a", tasks=tuple(lasting(1.0 + rank) for rank in range(4))))
        second = engine.submit(Gang(name="b", tasks=tuple(lasting(2.0) for _ in range(4))))
        engine.wait(first, timeout_s=1.5)
        engine.remove_node("node-0")
        engine.wait(second)
        return [(event.at_s, event.kind, event.rank) for handle in (first, second) for event in engine.events(handle)]

    assert story() == story()


def test_thousands_of_gangs_are_cheap() -> None:
    clock, engine = make_engine(num_nodes=200, num_cores=16)
    start_s = time.process_time()
    handles = []
    for index in range(3000):
        task = Task(entry="a:b", duration_s=10.0 + index % 7, resources=Resources(cpus=4))
        handles.append(engine.submit(Gang(name="job", tasks=(task, task))))
        clock.advance(0.1)
    clock.run()
    assert all(engine.status(handle).state is TaskState.DONE for handle in handles)
    assert time.process_time() - start_s < 5.0
