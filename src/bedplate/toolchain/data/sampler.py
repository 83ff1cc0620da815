"""Which samples a rank sees at which step: a function of seed and position alone.

The windows of a split are visited in a new order each epoch, each once. Sample number n of the run (over all
ranks) is place n mod N of epoch n div N, so a job that resumes at sample n, with as many or another number of ranks,
continues exactly where it was. The order is a keyed permutation computed place by place (a balanced Feistel network with
cycle walking): no table to hold or to save, and no dependence on a library's generator. O(1) a sample.

Source: Black & Rogaway 2002 (cycle walking); round function after splitmix64 (Steele et al. 2014).
"""

from __future__ import annotations

_MASK_64 = (1 << 64) - 1
_ROUNDS = 6


def window_of(sample: int, num_windows: int, seed: int) -> int:
    """The window that sample number `sample` of a run reads.

    Args:
        sample: Place in the run, over all ranks, from 0.
        num_windows: Windows of the split.
        seed: Decides the order.
    """
    epoch, place = divmod(sample, num_windows)
    key = _mix(_mix(seed & _MASK_64) ^ epoch)
    half_bits = max(1, ((num_windows - 1).bit_length() + 1) // 2)
    while True:
        place = _feistel(place, half_bits, key)
        if place < num_windows:
            return place


def _feistel(place: int, half_bits: int, key: int) -> int:
    mask = (1 << half_bits) - 1
    left, right = place >> half_bits, place & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (_mix(key ^ (turn << 56) ^ right) & mask)
    return left << half_bits | right


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK_64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK_64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK_64
    return value ^ (value >> 31)
