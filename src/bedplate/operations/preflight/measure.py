"""What a device does: rates of exact matrix products and of a large copy, within a time budget.

Runs inside a task, whose cores and thread counts its engine has set. A rate is the median of a few long samples, and a
sample is many products timed as one: a processor that is stopped for part of every 50 or 100 ms (a quota, a hypervisor) shows
its true rate only in samples that are longer than that.

Other work on the same cores makes a rate too low, by a factor of ten where threads wait for each other. So each rate carries
the share of its cores' time that others took, and a disturbed one is measured again; the least disturbed counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bedplate.core.errors import BedplateError, UsageError
from bedplate.core.measurement import DISTURBED_FRAC
from bedplate.operations.host.other_work import OtherWork
from bedplate.operations.preflight.bandwidth import copy_bandwidth
from bedplate.operations.preflight.products import MAX_SIZE, PRECISIONS, ExactProduct, exact_product

NUM_SAMPLES = 3
COPY = "copy"
"""What the memory copy is called where precisions are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpec:
    """The spec of a task that measures the device it was placed on."""

    budget_s: float
    num_tries: int = 3
    """Most measurements of a rate while other work disturbs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """Rates of one device or slot; a rate that is None has its reason."""

    matmul_flops: dict[str, float | None] = field(default_factory=dict)
    memory_bandwidth_bytes_per_s: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Precision or `copy` -> why there is no rate."""
    wrong: tuple[str, ...] = ()
    """Precisions, and `copy`, whose result was wrong."""
    busy_frac: dict[str, float | None] = field(default_factory=dict)
    """Precision or `copy` -> share of the cores' time that other work took; None where the system does not report it."""

    @property
    def disturbed(self) -> tuple[str, ...]:
        """Precisions, and `copy`, whose rate is not reliable because of other work."""
        return tuple(what for what, frac in self.busy_frac.items() if frac is not None and frac > DISTURBED_FRAC)


def measure_rates(
    cores: Sequence[int],
    budget_s: float,
    *,
    precisions: Sequence[str] = PRECISIONS,
    size: int | None = None,
    largest_buffer_bytes: int = 4 * 2**30,
    num_tries: int = 1,
    device: str = "cpu",
    able: Sequence[str] = PRECISIONS,
    beat: Callable[[], None] = lambda: None,
) -> RateReport:
    """Measure products in each precision, and a copy; the budget, without imports and first touch, is shared evenly.

    Args:
        cores: Cores of this task: one copying thread each.
        budget_s: Seconds for all measurements together, where none has to be repeated.
        precisions: Some of `PRECISIONS`.
        size: Rows of the matrices; None: what keeps that many cores busy.
        largest_buffer_bytes: Upper limit of each of the copy's two buffers.
        num_tries: Most measurements of a rate while other work disturbs it.
        device: Torch device that multiplies. The copy is one of host memory, and only made where that is the device's own.
        able: Precisions that the device computes in; the others get a reason instead of a rate.
        beat: Called between samples; the task's heartbeat.

    Raises:
        UsageError: A budget that is not above zero.
    """
    if not budget_s > 0:
        raise UsageError("a measurement needs time", seen=f"{budget_s} s", expected="a budget above 0 s")
    share_s = budget_s / (len(precisions) + 1)
    measured: dict[str, _Rate] = {}
    for precision in precisions:
        beat()
        if precision not in able:
            measured[precision] = _Rate(None, reason=f"this kind of device does not compute in {precision}")
            continue
        rows = size or (_fitting_size(len(cores)) if device == "cpu" else MAX_SIZE)
        measured[precision] = _product(precision, rows, device, cores, share_s, num_tries, beat)

    def copy() -> _Rate:
        copied = copy_bandwidth(cores, share_s, largest_buffer_bytes=largest_buffer_bytes, beat=beat)
        return _Rate(copied.bandwidth_bytes_per_s, is_right=copied.is_right, busy_frac=copied.busy_frac)

    if device == "cpu":
        measured[COPY] = _least_disturbed(copy, num_tries)
    else:
        measured[COPY] = _Rate(None, reason="the memory of accelerators is not measured yet")
    rates = {what: found.rate if found.is_right else None for what, found in measured.items()}
    return RateReport(
        matmul_flops={precision: rates[precision] for precision in precisions},
        memory_bandwidth_bytes_per_s=rates[COPY],
        reasons={what: reason for what, found in measured.items() if (reason := found.reason_or_wrong(what))},
        wrong=tuple(what for what, found in measured.items() if not found.is_right),
        busy_frac={what: found.busy_frac for what, found in measured.items() if found.rate is not None},
    )


@dataclass(frozen=True, slots=True)
class _Rate:
    """One rate and what is known about it."""

    rate: float | None
    """Per second; None where it could not be measured, with the reason."""
    is_right: bool = True
    busy_frac: float | None = None
    reason: str = ""

    def reason_or_wrong(self, what: str) -> str:
        """Why there is no rate of `what`; empty where there is one."""
        if self.is_right:
            return self.reason
        return "the copy differs from its source" if what == COPY else "its product was wrong"


def _least_disturbed(measure: Callable[[], _Rate], num_tries: int) -> _Rate:
    """The first that other work left alone; after `num_tries` the one that it disturbed least. A wrong result ends it."""
    found: list[_Rate] = []
    while True:
        found.append(measure())
        is_settled = not found[-1].is_right or (found[-1].busy_frac or 0.0) <= DISTURBED_FRAC
        if is_settled or len(found) >= num_tries:
            return found[-1] if is_settled else min(found, key=lambda rate: rate.busy_frac or 0.0)


def _product(
    precision: str, size: int, device: str, cores: Sequence[int], share_s: float, num_tries: int, beat: Callable[[], None]
) -> _Rate:
    try:
        product = exact_product(precision, size, device=device)
        return _least_disturbed(lambda: _product_rate(product, cores, share_s, beat), num_tries)
    except (BedplateError, RuntimeError, MemoryError) as error:
        return _Rate(None, reason=str(error).splitlines()[0] if str(error) else type(error).__name__)


def _fitting_size(num_cores: int) -> int:
    return 1024 if num_cores < 4 else 2048 if num_cores < 32 else 4096


def _product_rate(product: ExactProduct, cores: Sequence[int], duration_s: float, beat: Callable[[], None]) -> _Rate:
    """Median operations/s of samples that fill `duration_s`, and whether every sample's last product was right."""
    is_right = product.is_right(product.multiply())
    rates = []
    others = OtherWork(cores)
    for _ in range(NUM_SAMPLES):
        beat()
        found, num_done, began_s, elapsed_s = None, 0, time.perf_counter(), 0.0
        while elapsed_s < duration_s / NUM_SAMPLES:
            found = product.multiply()
            num_done, elapsed_s = num_done + 1, time.perf_counter() - began_s
        rates.append(product.operations * num_done / elapsed_s)
        is_right = is_right and product.is_right(found)
    return _Rate(statistics.median(rates), is_right=is_right, busy_frac=others.busy_frac())
