"""The classes of requests that a cluster has met, as arrays that grow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bedplate.compute.scheduler.placement.arrays import ANY_MODEL, Classes, grown
from bedplate.compute.scheduler.placement.request import RequestClass


class ClassTable:
    """Index of each class; has one owner, its cluster, which says what bit a model has."""

    def __init__(self) -> None:
        self.classes: list[RequestClass] = []
        self._index: dict[RequestClass, int] = {}
        self._storage = Classes(*(np.zeros(0, np.int64) for _ in Classes._fields))
        self.requests = self._storage

    def index_of(self, need: RequestClass, bits: Mapping[str, int]) -> int:
        """Index of a class; a new one at the end if it was not met before."""
        if (known := self._index.get(need)) is not None:
            return known
        item = len(self.classes)
        self.classes.append(need)
        self._index[need] = item
        self._storage = Classes(*(grown(field, (item + 1,)) for field in self._storage))
        row = (need.cpu_milli, need.memory_mib, need.num_devices, need.share_milli, _accepted(need, bits))
        for field, value in zip(self._storage, row, strict=True):
            field[item] = value
        self.requests = Classes(*(field[: item + 1] for field in self._storage))
        return item

    def learn_models(self, bits: Mapping[str, int]) -> None:
        """There are more models now: classes may name some of them."""
        self.requests.models[:] = [_accepted(need, bits) for need in self.classes]


def _accepted(need: RequestClass, bits: Mapping[str, int]) -> int:
    return sum(1 << bits[model] for model in need.models if model in bits) if need.models else ANY_MODEL
