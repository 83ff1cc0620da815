"""How a flat buffer is cut into one slice per rank; used by the trainer and, without torch, for sizing its stores."""

from __future__ import annotations

ALIGN = 64
"""Slices start at multiples of this many elements, a cache line's worth of any dtype."""
STATE_BUFFERS = ("master", "moment_1", "moment_2")
"""What the optimiser keeps of a slice, each fp32; together a rank's share of a checkpoint."""
_PAGE_BYTES = 4096


def slice_bounds(num_elements: int, rank: int, world_size: int) -> tuple[int, int]:
    """First element of the rank's slice, and the one after its last; slices are equal but for the last ones."""
    size = -(-num_elements // (world_size * ALIGN)) * ALIGN
    return min(rank * size, num_elements), min((rank + 1) * size, num_elements)


def share_bytes(num_elements: int, world_size: int) -> int:
    """Bytes of the largest rank's share of a checkpoint, buffers rounded up to pages."""
    start, end = slice_bounds(num_elements, 0, world_size)
    return len(STATE_BUFFERS) * (-(-4 * (end - start) // _PAGE_BYTES) * _PAGE_BYTES)
