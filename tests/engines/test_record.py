"""The record of a gang: numbered events, final states, and a buffer with a bound."""

from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.workload import ExitCause, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.record import GangRecord, statistics_of


def make_record(num_tasks: int = 1, max_progress_events: int = 8) -> GangRecord:
    tasks = tuple(TaskStatus(rank=rank, state=TaskState.WAITING) for rank in range(num_tasks))
    return GangRecord("gang", tasks, max_progress_events)


def test_it_is_final_when_the_last_task_has_ended() -> None:
    record = make_record(num_tasks=2)
    record.exited(0, 1.0, exit_code=0, cause=ExitCause.FINISHED)
    assert not record.is_final
    record.exited(1, 2.0, exit_code=0, cause=ExitCause.FINISHED)
    assert record.is_final
    assert record.status().state is TaskState.DONE


def test_the_newest_progress_is_kept_and_what_was_dropped_is_counted() -> None:
    record = make_record(max_progress_events=100)
    record.started(0, 0.0)
    for step in range(1000):
        record.progress(0, 1.0, {"step": step})
    record.exited(0, 2.0, exit_code=0, cause=ExitCause.FINISHED)
    events = record.events()
    assert events[0].kind is TaskEventKind.STARTED
    assert events[-1].kind is TaskEventKind.EXITED
    steps = [event.attributes["step"] for event in events if event.kind is TaskEventKind.PROGRESS]
    assert steps == list(range(1000 - len(steps), 1000))
    assert 100 <= len(steps) <= 125
    assert record.num_dropped == 1000 - len(steps)
    assert statistics_of([record]).events_dropped == record.num_dropped
    assert statistics_of([record]).events == 1002


@given(st.lists(st.sampled_from(["progress", "heard", "lost"]), max_size=60), st.integers(1, 20))
def test_sequence_numbers_are_never_reused_and_only_progress_is_dropped(happenings: list[str], bound: int) -> None:
    record = make_record(max_progress_events=bound)
    for happening in happenings:
        if happening == "progress":
            record.progress(0, 0.0, {})
        elif happening == "heard":
            record.heard(0, 0.0)
        else:
            record.node_lost(0, 0.0)
    events = record.events()
    sequence = [event.sequence for event in events]
    assert sequence == sorted(set(sequence))
    assert sum(event.kind is TaskEventKind.NODE_LOST for event in events) == happenings.count("lost")
    assert len(events) + record.num_dropped == record.num_events
    assert all(
        record.events(after)[:1] == tuple(e for e in events if e.sequence >= after)[:1] for after in range(len(happenings))
    )
