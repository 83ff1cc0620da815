"""Rates are of products that are right, of copies that are equal, and null with a reason where there is none."""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.messages import decode, encode
from bedplate.operations.preflight import products
from bedplate.operations.preflight.bandwidth import copy_bandwidth, last_cache_bytes
from bedplate.operations.preflight.measure import RateReport, measure_rates
from bedplate.operations.preflight.products import PRECISIONS, exact_product

CORE = (min(os.sched_getaffinity(0)),)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without torch: it cannot be found, nor imported by accident."""
    monkeypatch.setattr(products, "has_torch", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    exact_product.cache_clear()
    yield
    exact_product.cache_clear()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("size", [64, 1024])
def test_a_product_is_exact_in_every_precision(precision: str, size: int) -> None:
    product = exact_product(precision, size, seed=3)
    found = product.to_integers(product.multiply())
    assert product.is_right(product.multiply())
    assert product.operations == 2 * size**3
    assert 8 < abs(found).max() < 256


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_wrong_element_is_seen(precision: str) -> None:
    product = exact_product(precision, 64)
    found = product.multiply()
    found[7, 9] += 1
    assert not product.is_right(found)


def test_the_largest_bf16_product_stays_within_its_whole_numbers() -> None:
    generator = np.random.default_rng(0)
    values = np.array([-1, 0, 0, 1], dtype=np.float32)
    left, right = values[generator.integers(0, 4, (64, 4096))], values[generator.integers(0, 4, (4096, 4096))]
    assert abs(left @ right).max() <= 256


def test_int8_products_keep_int32_sums_as_integer_kernels_do() -> None:
    import torch

    found = exact_product("int8", 512).multiply()
    assert found.dtype is torch.int32


def test_rates_of_a_core_fit_the_budget_and_survive_json() -> None:
    beats: list[int] = []
    report = measure_rates(CORE, 0.4, size=256, largest_buffer_bytes=2**24, beat=lambda: beats.append(1))
    assert all((report.matmul_flops[precision] or 0) > 1e8 for precision in PRECISIONS), report
    assert (report.memory_bandwidth_bytes_per_s or 0) > 1e8
    assert (report.reasons, report.wrong) == ({}, ())
    assert len(beats) >= 8
    assert set(report.busy_frac) == {*PRECISIONS, "copy"}
    assert decode(RateReport, encode(report)) == report


def test_a_disturbed_rate_is_measured_again_then_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.5, 0.3, 0.4, 0.2, 0.0])  # fp32: three tries; copy: two
    monkeypatch.setattr("bedplate.operations.host.other_work.OtherWork.busy_frac", lambda _watch: next(shares))
    report = measure_rates(CORE, 0.1, precisions=("fp32",), size=64, largest_buffer_bytes=2**22, num_tries=3)
    assert report.busy_frac == {"fp32": 0.3, "copy": 0.0}
    assert report.disturbed == ("fp32",)
    assert next(shares, None) is None


@pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan")])
def test_a_measurement_without_time_is_refused(budget_s: float) -> None:
    with pytest.raises(UsageError, match="needs time"):
        measure_rates(CORE, budget_s)


def test_without_torch_numpy_measures_fp32_only(without_torch: None) -> None:
    report = measure_rates(CORE, 0.2, size=256, largest_buffer_bytes=2**24)
    assert (report.matmul_flops["fp32"] or 0) > 1e8
    assert report.matmul_flops["bf16"] is report.matmul_flops["int8"] is None
    assert "need torch" in report.reasons["bf16"]
    assert report.memory_bandwidth_bytes_per_s is not None


def test_a_numpy_product_is_checked_too(without_torch: None) -> None:
    product = exact_product("fp32", 64)
    found = product.multiply()
    assert product.is_right(found)
    found[0, 0] += 1
    assert not product.is_right(found)
    with pytest.raises(UnavailableError, match="need torch"):
        exact_product("int8", 64)


def test_copy_buffers_exceed_the_last_cache_unless_limited() -> None:
    copied = copy_bandwidth(CORE, 0.05, largest_buffer_bytes=2**24)
    assert copied.is_right
    assert copied.buffer_bytes == 2**24
    assert last_cache_bytes(CORE) >= 2**20
