"""How much of what is free a trace's jobs cannot use."""

import numpy as np
import pytest

from bedplate.compute.scheduler.placement.arrays import States
from bedplate.compute.scheduler.placement.request import WHOLE, RequestClass
from bedplate.compute.simulate.replay.fragmentation import Fragmentation


def free(shares: list[list[int]], cpu: int = 100_000, models: list[int] | None = None) -> States:
    count, width = len(shares), len(shares[0])
    return States(
        cpu=np.full(count, cpu),
        memory=np.full(count, 1 << 20),
        shares=np.array(shares),
        devices=np.full(count, width),
        model=np.array([[model] * width for model in models or [0] * count]),
    )


def need(devices: int, share: int = WHOLE, cpu: int = 0, models: tuple[str, ...] = ()) -> RequestClass:
    return RequestClass(cpu_milli=cpu, memory_mib=0, num_devices=devices, share_milli=share, models=models)


@pytest.mark.parametrize(
    ("wanted", "states", "expected"),
    [
        (need(1), free([[WHOLE, WHOLE], [500, 500]]), 1 / 3),
        (need(2), free([[WHOLE, 0], [WHOLE, WHOLE]]), 1 / 3),
        (need(1, 300), free([[WHOLE, 200]]), 1 - 900 / 1200),
        (need(1, cpu=8_000), free([[WHOLE, WHOLE]], cpu=8_000), 1 / 2),
        (need(1, models=("B",)), free([[WHOLE], [WHOLE]], models=[0, 1]), 1 / 2),
        (need(1), free([[0, 0]]), 0),
    ],
)
def test_what_one_request_cannot_use(wanted: RequestClass, states: States, expected: float) -> None:
    assert Fragmentation([(wanted, 1.0)]).unusable_frac(states, ("A", "B")) == pytest.approx(expected)


def test_requests_count_by_the_device_time_that_they_ask_for() -> None:
    both = Fragmentation([(need(1), 3.0), (need(2), 1.0)])
    assert both.unusable_frac(free([[WHOLE, 0]]), ("A",)) == pytest.approx(0.25)
