"""Two clocks: one that runs by itself, and one that moves from event to event."""

import time
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.clock import SystemClock, VirtualClock


def test_the_system_clock_counts_from_the_epoch_and_never_runs_back() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 1.0
    before = clock.now()
    clock.wait(0.01)
    assert clock.now() - before >= 0.01


def test_a_wait_of_less_than_nothing_takes_no_time() -> None:
    SystemClock().wait(-1.0)


def test_virtual_time_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(start_s=5.0)
    assert clock.now() == clock.now() == 5.0
    clock.wait(2.5)
    assert clock.now() == 7.5


def test_callbacks_fire_in_time_order_then_in_order_filed() -> None:
    clock = VirtualClock()
    fired: list[tuple[str, float]] = []

    def note(name: str) -> None:
        fired.append((name, clock.now()))

    for name, at_s in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("middle", 2.0)):
        clock.call_at(at_s, partial(note, name))
    clock.run()
    assert fired == [("first", 1.0), ("second", 1.0), ("middle", 2.0), ("late", 3.0)]


def test_advance_fires_what_is_due_and_no_more() -> None:
    clock = VirtualClock()
    fired: list[float] = []
    for at_s in (1.0, 2.0, 2.5):
        clock.call_at(at_s, partial(fired.append, at_s))
    clock.advance(2.0)
    assert (fired, clock.now(), clock.next_at()) == ([1.0, 2.0], 2.0, 2.5)


def test_a_callback_may_file_another_that_is_due_in_the_same_advance() -> None:
    clock = VirtualClock()
    fired: list[float] = []

    def again() -> None:
        fired.append(clock.now())
        if len(fired) < 4:
            clock.call_at(clock.now() + 1.0, again)

    clock.call_at(1.0, again)
    clock.advance(3.0)
    assert fired == [1.0, 2.0, 3.0]


def test_a_callback_for_the_past_fires_now() -> None:
    clock, fired = VirtualClock(start_s=10.0), []
    clock.call_at(3.0, lambda: fired.append(clock.now()))
    clock.run()
    assert fired == [10.0]


def test_a_cancelled_callback_does_not_fire() -> None:
    clock = VirtualClock()
    fired: list[str] = []
    ticket = clock.call_at(1.0, lambda: fired.append("cancelled"))
    clock.call_at(2.0, lambda: fired.append("kept"))
    clock.cancel(ticket)
    clock.cancel(ticket)
    clock.cancel(12345)
    assert clock.next_at() == 2.0
    clock.run()
    assert fired == ["kept"]


def test_cancelling_what_has_fired_does_not_reach_another() -> None:
    clock = VirtualClock()
    fired: list[float] = []
    ticket = clock.call_at(1.0, lambda: fired.append(1))
    clock.run()
    clock.cancel(ticket)
    clock.call_at(2.0, lambda: fired.append(2))
    clock.run()
    assert fired == [1, 2]


def test_an_empty_clock_has_nothing_to_step_to() -> None:
    clock = VirtualClock()
    assert not clock.step()
    assert clock.next_at() is None


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=40))
def test_exactly_the_callbacks_that_were_not_cancelled_fire_in_order(filed: list[tuple[float, bool]]) -> None:
    clock = VirtualClock()
    fired: list[float] = []
    tickets = [clock.call_at(at_s, partial(fired.append, at_s)) for at_s, _ in filed]
    for ticket, (_, is_cancelled) in zip(tickets, filed, strict=True):
        if is_cancelled:
            clock.cancel(ticket)
    clock.run()
    assert fired == sorted(at_s for at_s, is_cancelled in filed if not is_cancelled)
