"""What goes on beside a step goes on when one duty fails, and the failure is told once."""

import threading

from bedplate.app.pipeline.run.ticker import Ticker
from bedplate.core.errors import UnavailableError


def test_a_failing_duty_is_tried_again_and_disturbs_no_other() -> None:
    calls, seen = [], threading.Event()

    def failing() -> None:
        calls.append("failing")
        raise UnavailableError("locked")

    def working() -> None:
        calls.append("working")
        if calls.count("working") == 2:
            seen.set()

    with Ticker([failing, working]) as ticker:
        assert seen.wait(30)
    assert calls.count("failing") >= 2
    assert [str(error) for error in ticker.errors] == ["locked"]


def test_every_duty_is_called_once_more_at_the_end() -> None:
    calls: list[int] = []
    with Ticker([lambda: calls.append(1)]):
        pass
    assert calls == [1]
