"""Memory bandwidth by a large copy, as STREAM's copy counts it: bytes read plus bytes written.

Each of the two buffers is twice the last cache of the cores that copy, and is touched by the copying threads before the
clock starts: the first touch of a page costs more than a hundred copies of it. The copy is numpy's, that is memcpy; it
releases the interpreter lock, so the threads, one per core, copy at the same time.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bedplate.operations.host.other_work import OtherWork

MIN_BUFFER_BYTES = 64 * 2**20
NUM_SAMPLES = 3
ASSUMED_CACHE_BYTES = 32 * 2**20
"""Where the kernel does not show its caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyResult:
    """Outcome of the copies."""

    bandwidth_bytes_per_s: float
    """Median over the samples."""
    is_right: bool
    """Whether the copy equals its source."""
    buffer_bytes: int
    busy_frac: float | None
    """Share of the cores' time that other work took; None where the system does not report it."""


def copy_bandwidth(
    cores: Sequence[int],
    duration_s: float,
    *,
    largest_buffer_bytes: int = 4 * 2**30,
    beat: Callable[[], None] = lambda: None,
) -> CopyResult:
    """Copy between two buffers with one thread for each of `cores` for about `duration_s`.

    `beat` is called between samples. The buffers never take more than a quarter of the memory that is free.
    """
    buffer_bytes = _buffer_bytes(cores, largest_buffer_bytes)
    words = buffer_bytes // 8
    source, target = np.empty(words, np.uint64), np.empty(words, np.uint64)
    bounds = np.linspace(0, words, len(cores) + 1, dtype=np.int64)
    slices = [slice(int(first), int(last)) for first, last in itertools.pairwise(bounds)]
    with ThreadPoolExecutor(max_workers=len(cores)) as copiers:

        def copy_all() -> None:
            list(copiers.map(lambda part: np.copyto(target[part], source[part]), slices))

        list(copiers.map(lambda part: _touch(source[part], target[part]), slices))
        copy_all()
        rates = []
        others = OtherWork(cores)
        for _ in range(NUM_SAMPLES):
            beat()
            num_done, began_s, elapsed_s = 0, time.perf_counter(), 0.0
            while elapsed_s < duration_s / NUM_SAMPLES:
                copy_all()
                num_done, elapsed_s = num_done + 1, time.perf_counter() - began_s
            rates.append(2 * words * 8 * num_done / elapsed_s)
        busy_frac = others.busy_frac()
    return CopyResult(
        bandwidth_bytes_per_s=statistics.median(rates),
        is_right=bool(np.array_equal(source, target)),
        buffer_bytes=words * 8,
        busy_frac=busy_frac,
    )


def _touch(source: NDArray[np.uint64], target: NDArray[np.uint64]) -> None:
    """Fill with a pattern whose period is no power of two, so that a block copied to the wrong place differs."""
    pattern = np.arange(1, 8192, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    full = len(source) // len(pattern) * len(pattern)
    source[:full].reshape(-1, len(pattern))[:] = pattern
    source[full:] = pattern[: len(source) - full]
    target[:] = 0


def _buffer_bytes(cores: Iterable[int], largest_bytes: int) -> int:
    import psutil

    wanted_bytes = min(max(2 * last_cache_bytes(cores), MIN_BUFFER_BYTES), largest_bytes)
    return max(2**20, min(wanted_bytes, psutil.virtual_memory().available // 8))


def last_cache_bytes(cores: Iterable[int], root: Path = Path("/")) -> int:
    """Bytes of all distinct last-level caches of `cores` together."""
    caches: dict[str, int] = {}
    for core in cores:
        levels = {}
        for index in (root / f"sys/devices/system/cpu/cpu{core}/cache").glob("index*"):
            if (index / "level").is_file() and (index / "size").is_file():
                levels[int((index / "level").read_text())] = index
        if levels:
            last = levels[max(levels)]
            size_text = (last / "size").read_text().strip()
            shared = last / "shared_cpu_list"
            key = shared.read_text().strip() if shared.is_file() else str(core)
            caches[key] = int(size_text.rstrip("KM")) * (2**20 if size_text.endswith("M") else 2**10)
    return sum(caches.values()) or ASSUMED_CACHE_BYTES
