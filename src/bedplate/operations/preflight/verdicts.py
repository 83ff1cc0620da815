"""Pairs of slots: which to pair, and what the results reveal about slots and the links between them.

A pair that fails does not show whose fault it is. So there are two rounds. In the first every slot meets one partner (with
an odd number one slot meets two). A pair that passes clears both its slots. In the second, each slot that is not yet
cleared meets a cleared one, and the cleared ones meet a partner other than before; where none was cleared, each meets a
new partner. A round is a list of waves: the pairs of a wave share no slot, so they run at the same time.

Verdict: a slot that passed with any partner is good. One that passed with none and failed with a good one is bad. One that
only ever failed with slots that are not good themselves cannot be distinguished from them: unknown, and not to be used. A pair
that failed between two good slots is a bad link. If only slots are at fault, good and bad are always right. A good slot is
called bad only if every link that was tried between it and good slots is faulty: it could not do its work there either.
Compare: DLRover's two-round node check, which stops at nodes; here links are named too, and unknown is not a guess.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Pair = tuple[int, int]
"""Two slots, the smaller first."""
Wave = tuple[Pair, ...]
"""Pairs that share no slot."""


class SlotVerdict(enum.StrEnum):
    """What the pairs reveal about one slot."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """It failed with every partner, and none of them is good; or it had no partner at all."""
    DISTURBED = "disturbed"
    """It was slow while other work took part of it: no evidence against the slot, but others are to be preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdicts:
    """What all pairs together reveal."""

    slots: Mapping[int, SlotVerdict]
    bad_links: tuple[Pair, ...]
    """Pairs that failed although both slots are good."""


def first_round(slots: Sequence[int]) -> tuple[Wave, ...]:
    """Every slot meets one partner; an odd one out meets the first slot, in a wave of its own. None for fewer than two."""
    if len(slots) < 2:
        return ()
    couples = tuple(_pair(slots[i], slots[i + 1]) for i in range(0, len(slots) - 1, 2))
    return (couples,) if len(slots) % 2 == 0 else (couples, (_pair(slots[-1], slots[0]),))


def second_round(slots: Sequence[int], first: Mapping[Pair, bool]) -> tuple[Wave, ...]:
    """Partners other than those of the first round, chosen after its results (pair -> whether it passed)."""
    cleared = [slot for slot in slots if any(passed and slot in pair for pair, passed in first.items())]
    doubtful = [slot for slot in slots if slot not in cleared]
    if not cleared:
        wanted = _all_new_pairs(doubtful, first)
    else:
        wanted = [_with_helper(slot, position, cleared, first) for position, slot in enumerate(doubtful)]
        wanted += _all_new_pairs(cleared, first)
    return _waves(pair for pair in wanted if pair is not None)


def verdicts(slots: Iterable[int], results: Mapping[Pair, bool]) -> PairVerdicts:
    """Judge `slots` by the results of both rounds (pair -> whether it passed)."""
    good = {slot for pair, passed in results.items() if passed for slot in pair}
    failed = [pair for pair, passed in results.items() if not passed]
    bad = {slot for a, b in failed for slot, other in ((a, b), (b, a)) if slot not in good and other in good}

    def verdict(slot: int) -> SlotVerdict:
        return SlotVerdict.GOOD if slot in good else SlotVerdict.BAD if slot in bad else SlotVerdict.UNKNOWN

    return PairVerdicts(
        slots={slot: verdict(slot) for slot in slots},
        bad_links=tuple(sorted(pair for pair in failed if good.issuperset(pair))),
    )


def _with_helper(slot: int, position: int, cleared: Sequence[int], first: Mapping[Pair, bool]) -> Pair | None:
    """A doubtful slot with a cleared one that it has not met; the helpers take turns."""
    for turn in range(len(cleared)):
        pair = _pair(slot, cleared[(position + turn) % len(cleared)])
        if pair not in first:
            return pair
    return None


def _all_new_pairs(slots: Sequence[int], first: Mapping[Pair, bool]) -> list[Pair | None]:
    """Each slot with one it has not met: neighbours in a ring that is turned by one against the first round."""
    ring = [*slots[1:], *slots[:1]]
    if len(ring) < 2:
        return []
    pairs: list[Pair | None] = []
    met: set[int] = set()
    for slot in ring:
        if slot in met:
            continue
        free = [other for other in ring if other != slot and _pair(slot, other) not in first]
        partner = min(free, key=lambda other: (other in met, (ring.index(other) - ring.index(slot)) % len(ring)), default=None)
        if partner is not None:
            pairs.append(_pair(slot, partner))
            met |= {slot, partner}
    return pairs


def _waves(pairs: Iterable[Pair]) -> tuple[Wave, ...]:
    """Pairs in as few waves as first fit finds, each slot once per wave."""
    waves: list[list[Pair]] = []
    for pair in dict.fromkeys(pairs):
        for wave in waves:
            if not any(slot in taken for taken in wave for slot in pair):
                wave.append(pair)
                break
        else:
            waves.append([pair])
    return tuple(tuple(wave) for wave in waves)


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)
