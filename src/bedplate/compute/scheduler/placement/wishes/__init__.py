"""Filters and scores that are not the placement policy's: where a request may go, and what speaks for or against a node.

One file each, named here as people write them; loaded when used. A filter has `allowed(facts) -> Bools`, a score
`bias(facts) -> Floats`, both of the shape (N,). To add one: a file and a line in `FILTERS` or `SCORES`; or give `wishes_of` the
path of a module of your own, `package.module`. They compose: filters by and, scores by a weighted sum, and the policy adds the
sum to its cost.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats
from bedplate.compute.scheduler.placement.wishes.facts import Facts
from bedplate.core.errors import UsageError, check_known

FILTERS: dict[str, str] = {
    "healthy": "bedplate.compute.scheduler.placement.wishes.healthy",
    "not-reserved": "bedplate.compute.scheduler.placement.wishes.not_reserved",
    "fast-enough": "bedplate.compute.scheduler.placement.wishes.fast_enough",
}
"""Name -> module, which has `allowed`."""
SCORES: dict[str, str] = {
    "health": "bedplate.compute.scheduler.placement.wishes.health",
    "speed": "bedplate.compute.scheduler.placement.wishes.speed",
    "spread": "bedplate.compute.scheduler.placement.wishes.spread",
    "together": "bedplate.compute.scheduler.placement.wishes.together",
}
"""Name -> module, which has `bias`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wishes:
    """What a policy is asked with: arguments of `PlacementPolicy.choose`."""

    allowed_N: Bools
    bias_N: Floats
    by_filter: Mapping[str, Bools] = field(default_factory=dict)
    """What each filter allows, for `why_not`."""


def wishes_of(facts: Facts, filters: Collection[str] = tuple(FILTERS), scores: Mapping[str, float] | None = None) -> Wishes:
    """Every filter and score over what is known.

    Args:
        facts: About the nodes and the request.
        filters: Names; a filter whose facts are not known allows every node.
        scores: Weight of each score by name; `health` and `speed`, equally, if None. A score whose facts are not known is 0.

    Raises:
        UsageError: Unknown, or no such module.
    """
    by_filter = {name: _load(name, FILTERS, "filter").allowed(facts) for name in filters}
    allowed_N, bias_N = np.ones(facts.num_nodes, bool), np.zeros(facts.num_nodes)
    for one_N in by_filter.values():
        allowed_N &= one_N
    for name, weight in ({"health": 1.0, "speed": 1.0} if scores is None else scores).items():
        bias_N += weight * _load(name, SCORES, "score").bias(facts)
    return Wishes(allowed_N=allowed_N, bias_N=bias_N, by_filter=by_filter)


def _load(name: str, known: Mapping[str, str], kind: str) -> ModuleType:
    if "." not in name:
        check_known(name, known, f"unknown placement {kind}")
    try:
        return importlib.import_module(known.get(name, name))
    except ModuleNotFoundError as error:
        raise UsageError(f"the placement {kind} cannot be loaded", seen=name, expected=f"a module: {error}") from error
