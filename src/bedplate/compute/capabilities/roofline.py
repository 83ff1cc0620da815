"""How fast memory and arithmetic let a device do a kind of job: the seed of the speed table, before any job has run.

A kind of job is the operations that it does for every byte it moves, and the precision it wants. Time for one operation is that
of the arithmetic plus that of its share of the memory traffic, since kernels that compute and kernels that copy follow each
other; so
    rate = 1 / (1 / peak + 1 / (operations per byte * bandwidth)).
A device that does not compute in the wanted precision takes the one that the job falls back to: bf16 -> fp16 -> fp32, as on
V100 and T4. The operations per byte are orders of magnitude, for choosing between models; what jobs achieve corrects them.

Source: Williams, Waterman & Patterson 2009 (roofline); here the two limits add up instead of hiding each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.compute.capabilities.figures import DeviceFigures
from bedplate.core.backends import WIDER
from bedplate.core.errors import check_known
from bedplate.core.measurement import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """What kind of load a job is."""

    name: str
    precision: str
    """What it computes in where it can."""
    operations_per_byte: float
    """Operations for each byte that it moves between memory and processor."""
    why: str
    """Where the number comes from."""


JOB_KINDS: Mapping[str, JobKind] = {
    kind.name: kind
    for kind in (
        JobKind(
            name="training",
            precision="bf16",
            operations_per_byte=1000,
            why="a layer of width h does 72 h^2 operations a token and moves about 100 h bytes of activations; h = 1,400",
        ),
        JobKind(
            name="prefill",
            precision="bf16",
            operations_per_byte=1000,
            why="each weight of two bytes meets a thousand tokens of a prompt",
        ),
        JobKind(
            name="decode",
            precision="bf16",
            operations_per_byte=32,
            why="each weight of two bytes is read once a step, for 32 sequences",
        ),
        JobKind(
            name="inference",
            precision="bf16",
            operations_per_byte=32,
            why="a server spends most of its time on decoding",
        ),
        JobKind(
            name="science",
            precision="fp32",
            operations_per_byte=1,
            why="stencils, sparse products and trees do about one operation a byte (Williams et al. 2009)",
        ),
    )
}
"""By name. A job kind of the speed table is one of these, or one of these with what distinguishes it: `training:llama-8b`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a device may do of a kind of job."""

    operations_per_s: float
    precision: str
    """What it would compute in."""
    provenance: Provenance
    """Of the figures it is made from: `measured` only where all of them are."""


def kind_of(name: str) -> JobKind:
    """The kind that `training` or `training:llama-8b` names.

    Raises:
        UsageError: No such kind.
    """
    word = name.partition(":")[0]
    check_known(word, JOB_KINDS, "no kind of job", seen=name, expected=", ".join(JOB_KINDS))
    return JOB_KINDS[word]


def precision_on(wanted: str, precisions: tuple[str, ...]) -> str | None:
    """What a job that wants a precision computes in on a device with `precisions`; None where no fallback is there."""
    return next((name for name in (wanted, *WIDER[wanted]) if name in precisions), None)


def attainable(kind: JobKind, figures: DeviceFigures) -> Estimate | None:
    """What a device may do of a kind of job; None where a figure that it takes is not known.

    A precision that the device has at an unknown rate is not passed over for a wider one whose rate is known: that would
    make the device slow because nobody published how fast it is.
    """
    precision = precision_on(kind.precision, figures.precisions)
    peak = figures.flops.get(precision) if precision else None
    bandwidth = figures.memory_bandwidth_bytes_per_s
    if precision is None or peak is None or bandwidth is None:
        return None
    time_s = 1 / peak.value + 1 / (kind.operations_per_byte * bandwidth.value)
    inputs = {peak.provenance, bandwidth.provenance}
    provenance = Provenance.MEASURED if inputs == {Provenance.MEASURED} else Provenance.PUBLISHED
    return Estimate(operations_per_s=1 / time_s, precision=precision, provenance=provenance)
