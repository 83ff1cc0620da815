"""What a screening leaves for reports and for the scorecard: values of measurements, and a table of the slots."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.figures import Cell, ResultTable
from bedplate.core.measurement import Provenance
from bedplate.core.text import text
from bedplate.operations.preflight.screening import Screening, SlotReport
from bedplate.operations.preflight.stores import StoreReport
from bedplate.operations.preflight.verdicts import SlotVerdict

VERDICTS = {
    SlotVerdict.GOOD: text("good"),
    SlotVerdict.BAD: text("bad"),
    SlotVerdict.UNKNOWN: text("unknown"),
    SlotVerdict.DISTURBED: text("disturbed"),
}
"""What the verdicts are called."""


def screening_values(
    screening: Screening, kept: Sequence[SlotReport], stores: Sequence[StoreReport]
) -> dict[str, float | None]:
    """By measurement id: time of the screening, the weakest and the strongest kept slot, the slowest pair, the stores."""
    rates = [slot.rates for slot in kept if slot.rates is not None]
    copies = [rate.memory_bandwidth_bytes_per_s for rate in rates if rate.memory_bandwidth_bytes_per_s is not None]
    pairs = [seconds for slot in kept for seconds in slot.pair_seconds.values() if seconds is not None]
    values: dict[str, float | None] = {
        "screen_s": screening.seconds,
        "screen_slots": len(screening.slots),
        "screen_slots_excluded": len(screening.slots) - len(kept),
        "slot_memory_bandwidth_bytes_per_s_min": min(copies, default=None),
        "pair_all_reduce_s_max": max(pairs, default=None),
    }
    for precision in ("fp32", "bf16"):
        flops = [value for rate in rates if (value := rate.matmul_flops.get(precision)) is not None]
        values[f"slot_matmul_flops_{precision}_min"] = min(flops, default=None)
        values[f"slot_matmul_flops_{precision}_max"] = max(flops, default=None)
    for store in stores:
        values[f"store_{store.name}_write_bytes_per_s"] = store.write_bytes_per_s
        values[f"store_{store.name}_read_bytes_per_s"] = store.read_bytes_per_s
    return values


def screening_scale(screening: Screening) -> str:
    """How large the screening was, for people: `2 slots, over-subscribed`."""
    return f"{len(screening.slots)} slots{', over-subscribed' if screening.is_over_subscribed else ''}"


def screening_table(screening: Screening) -> ResultTable:
    """One row per slot: rates, pair times, verdict, reason."""
    return ResultTable(
        id="screening",
        title=text("Slots before the job"),
        details=text("over-subscribed machine: measured one after another, rates are relative")
        if screening.is_over_subscribed
        else "",
        columns=(
            text("slot"),
            text("core"),
            text("fp32 GFLOP/s"),
            text("bf16 GFLOP/s"),
            text("copy GB/s"),
            text("all-reduce ms (partner)"),
            text("verdict"),
            text("reason"),
        ),
        rows=tuple(_row(slot) for slot in screening.slots),
        provenance=Provenance.MEASURED,
    )


def _row(slot: SlotReport) -> tuple[Cell, ...]:
    flops = slot.rates.matmul_flops if slot.rates else {}
    bandwidth = slot.rates.memory_bandwidth_bytes_per_s if slot.rates else None
    pairs = ", ".join(
        f"failed ({other})" if seconds is None else f"{seconds * 1e3:.1f} ({other})"
        for other, seconds in slot.pair_seconds.items()
    )
    return (
        slot.slot,
        cores_text(slot),
        _scaled(flops.get("fp32")),
        _scaled(flops.get("bf16")),
        _scaled(bandwidth),
        pairs or None,
        VERDICTS[slot.verdict],
        slot.reason or None,
    )


def _scaled(rate: float | None) -> float | None:
    return None if rate is None else round(rate / 1e9, 2)


def cores_text(slot: SlotReport) -> str:
    """Cores of a slot, for people: `0` or `4,5`."""
    return ",".join(map(str, slot.cores))
