import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.capabilities.roofline import JOB_KINDS
from bedplate.compute.capabilities.speed import REFERENCE, SpeedTable
from bedplate.core.devices import Device, DeviceRates
from bedplate.core.errors import MessageError, UsageError
from bedplate.core.measurement import Provenance

JOB = "training:llama-8b"


def table() -> SpeedTable:
    return SpeedTable.of()


def value(speeds: SpeedTable, model: str, kind: str = JOB) -> float:
    found = speeds.relative(kind, model).value
    assert found is not None
    return found


def repeated(speeds: SpeedTable, model: str, rate: float, count: int) -> SpeedTable:
    for _ in range(count):
        speeds = speeds.observe(JOB, model, rate)
    return speeds


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_the_reference_is_one_for_every_kind(kind: str) -> None:
    assert value(table(), REFERENCE, kind) == 1.0


def test_a_seed_is_published_and_says_its_precision() -> None:
    speed = table().relative("training", "Tesla V100-SXM2-32GB")
    assert speed.provenance is Provenance.PUBLISHED
    assert (speed.precision, speed.samples) == ("fp16", 0)
    assert speed.value is not None
    assert 0.3 < speed.value < 0.5


def test_an_h100_trains_faster_than_an_a100_and_that_faster_than_a_v100() -> None:
    speeds = [value(table(), model, "training") for model in ("H100 80GB HBM3", REFERENCE, "V100-SXM2-32GB", "P100-PCIE-16GB")]
    assert speeds == sorted(speeds, reverse=True)


def test_a_model_that_nobody_knows_has_no_speed_until_it_was_measured() -> None:
    unknown = table().relative("training", "Secret 9000")
    assert (unknown.value, unknown.provenance) == (None, None)
    rates = DeviceRates(matmul_flops={"bf16": 156e12}, memory_bandwidth_bytes_per_s=1.02e12)
    device = Device(id="x:0", kind="gpu", vendor="secret", model="Secret 9000", memory_bytes=2**34, measured=rates)
    known = SpeedTable.of([device]).relative("training", "Secret 9000")
    assert known.provenance is Provenance.MEASURED
    assert known.value == pytest.approx(0.5, rel=0.01)


def test_of_two_devices_of_a_model_the_slower_counts() -> None:
    def device(number: int, bandwidth: float) -> Device:
        rates = DeviceRates(matmul_flops={"bf16": bandwidth * 150}, memory_bandwidth_bytes_per_s=bandwidth)
        return Device(id=f"x:{number}", kind="gpu", vendor="s", model="Secret", memory_bytes=2**34, measured=rates)

    one, two = device(0, 1e12), device(1, 2e12)
    assert value(SpeedTable.of([one, two]), "Secret") == value(SpeedTable.of([two, one]), "Secret")
    assert value(SpeedTable.of([one, two]), "Secret") == value(SpeedTable.of([one]), "Secret")


def test_jobs_on_one_model_alone_say_nothing_about_its_relative_speed() -> None:
    speeds = repeated(table(), "A100-SXM4-80GB", 5.0, 20)
    assert value(speeds, "H100 PCIe") == value(table(), "H100 PCIe")
    assert speeds.relative(JOB, REFERENCE).provenance is Provenance.PUBLISHED


def test_a_single_sample_does_not_swing_a_speed() -> None:
    speeds = table().observe(JOB, REFERENCE, 100.0).observe(JOB, "910B3", 1000.0)
    before, after = value(table(), "910B3"), value(speeds, "910B3")
    assert before < after < 10 ** (1 / 3) * before


def test_many_samples_decide() -> None:
    speeds = repeated(repeated(table(), REFERENCE, 1000.0, 500), "910B3", 300.0, 500)
    speed = speeds.relative(JOB, "Ascend910B3")
    assert speed.value == pytest.approx(0.3, rel=0.02)
    assert (speed.provenance, speed.samples) == (Provenance.MEASURED, 500)


def test_a_model_without_figures_gets_its_speed_from_jobs() -> None:
    speeds = repeated(repeated(table(), REFERENCE, 1000.0, 50), "BW1000", 400.0, 3)
    speed = speeds.relative(JOB, "BW1000")
    assert speed.value == pytest.approx(0.4, rel=0.01)
    assert speed.provenance is Provenance.MEASURED
    assert table().observe(JOB, "BW1000", 400.0).relative(JOB, "BW1000").value is None


def test_kinds_of_jobs_are_apart() -> None:
    speeds = repeated(repeated(table(), REFERENCE, 1000.0, 50), "910B3", 300.0, 50)
    assert value(speeds, "910B3", "training:other") == value(table(), "910B3", "training:other")


def test_what_was_seen_survives_json() -> None:
    speeds = repeated(repeated(table(), REFERENCE, 1000.0, 3), "910B3", 300.0, 5)
    again = SpeedTable.of(stored=json.loads(json.dumps(speeds.as_json())))
    assert again.relative(JOB, "910B3") == speeds.relative(JOB, "910B3")
    with pytest.raises(MessageError):
        SpeedTable.of(stored={"kinds": {"training": {"A100": {"samples": "many"}}}})


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_throughput_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="not a throughput"):
        table().observe(JOB, REFERENCE, rate)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="no kind of job"):
        table().observe("trianing", REFERENCE, 1.0)


@given(
    st.lists(st.tuples(st.sampled_from([REFERENCE, "910B3", "MI300X", "T4"]), st.floats(1e-3, 1e6)), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_neither_the_unit_nor_the_order_of_jobs_matters(jobs: list[tuple[str, float]], unit: float) -> None:
    one, other = table(), table()
    for model, rate in jobs:
        one = one.observe(JOB, model, rate)
    for model, rate in reversed(jobs):
        other = other.observe(JOB, model, rate * unit)
    for model in (REFERENCE, "910B3", "H100 PCIe"):
        assert value(one, model) == pytest.approx(value(other, model), rel=1e-6)
    assert value(one, REFERENCE) == pytest.approx(1.0)
