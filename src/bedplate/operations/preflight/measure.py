"""What a device does: rates of exact matrix products and of a large copy, within a time budget.

Runs inside a task, whose cores and thread counts its engine has set. A rate is the median of a few long samples, and a
sample is many products timed as one: a processor that is stopped for part of every 50 or 100 ms (a quota, a thief) shows
its true rate only in samples that are longer than that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bedplate.core.errors import BedplateError
from bedplate.core.json import JsonObject
from bedplate.operations.preflight.bandwidth import copy_bandwidth
from bedplate.operations.preflight.products import PRECISIONS, ExactProduct, exact_product

NUM_SAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """Rates of one device or slot; a rate that is None has its reason."""

    matmul_flops: dict[str, float | None] = field(default_factory=dict)
    memory_bandwidth_bytes_per_s: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Precision or `copy` -> why there is no rate."""
    wrong: tuple[str, ...] = ()
    """Precisions, and `copy`, whose result was not the right one."""

    def as_json(self) -> JsonObject:
        """The form in which a task hands it to who asked."""
        return {
            "matmul_flops": dict(self.matmul_flops),
            "memory_bandwidth_bytes_per_s": self.memory_bandwidth_bytes_per_s,
            "reasons": dict(self.reasons),
            "wrong": list(self.wrong),
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> RateReport:
        """Inverse of `as_json`; KeyError or TypeError when `data` is not one."""
        bandwidth = data["memory_bandwidth_bytes_per_s"]
        return cls(
            matmul_flops=dict(data["matmul_flops"]),  # type: ignore[arg-type]
            memory_bandwidth_bytes_per_s=None if bandwidth is None else float(bandwidth),  # type: ignore[arg-type]
            reasons=dict(data["reasons"]),  # type: ignore[arg-type]
            wrong=tuple(data["wrong"]),  # type: ignore[arg-type]
        )


def measure_rates(
    cores: Sequence[int],
    budget_s: float,
    *,
    precisions: Sequence[str] = PRECISIONS,
    size: int | None = None,
    largest_buffer_bytes: int = 4 * 2**30,
    beat: Callable[[], None] = lambda: None,
) -> RateReport:
    """Measure products in each precision, and a copy; the budget is shared evenly among them, imports and first touch apart.

    Args:
        cores: Cores of this task: one copying thread each.
        budget_s: Seconds for all measurements together.
        precisions: Some of `PRECISIONS`.
        size: Rows of the matrices; None: what keeps that many cores busy.
        largest_buffer_bytes: Upper limit of each of the copy's two buffers.
        beat: Called between samples; the task's heartbeat.
    """
    share_s = budget_s / (len(precisions) + 1)
    flops: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    wrong: list[str] = []
    for precision in precisions:
        beat()
        flops[precision] = None
        try:
            product = exact_product(precision, size or _fitting_size(len(cores)))
            rate, is_right = _product_rate(product, share_s, beat)
        except (BedplateError, RuntimeError, MemoryError) as error:
            reasons[precision] = str(error).splitlines()[0] if str(error) else type(error).__name__
            continue
        if is_right:
            flops[precision] = rate
        else:
            wrong.append(precision)
            reasons[precision] = "its product was not the right one"
    copied = copy_bandwidth(cores, share_s, largest_buffer_bytes=largest_buffer_bytes, beat=beat)
    return RateReport(
        matmul_flops=flops,
        memory_bandwidth_bytes_per_s=copied.bandwidth_bytes_per_s if copied.is_right else None,
        reasons=reasons if copied.is_right else {**reasons, "copy": "the copy differs from its source"},
        wrong=tuple(wrong) if copied.is_right else (*wrong, "copy"),
    )


def _fitting_size(num_cores: int) -> int:
    return 1024 if num_cores < 4 else 2048 if num_cores < 32 else 4096


def _product_rate(product: ExactProduct, duration_s: float, beat: Callable[[], None]) -> tuple[float, bool]:
    """Median operations/s of samples that fill `duration_s`, and whether every sample's last product was right."""
    is_right = product.is_right(product.multiply())
    rates = []
    for _ in range(NUM_SAMPLES):
        beat()
        found, num_done, began_s, elapsed_s = None, 0, time.perf_counter(), 0.0
        while elapsed_s < duration_s / NUM_SAMPLES:
            found = product.multiply()
            num_done, elapsed_s = num_done + 1, time.perf_counter() - began_s
        rates.append(product.operations * num_done / elapsed_s)
        is_right = is_right and product.is_right(found)
    return statistics.median(rates), is_right
