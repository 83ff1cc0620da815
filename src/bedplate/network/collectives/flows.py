"""A collective as flows between ranks, with the bytes that each carries in one operation.

Counted as nccl-tests does: `message_bytes` is the full buffer of one rank, n the size of the group. Rings are the
algorithm here (trees, halving-doubling and in-node stages come with the network part proper):

    all-reduce       each rank to the next    2(n-1)/n * message   (reduce-scatter, then all-gather)
    all-gather       each rank to the next     (n-1)/n * message
    reduce-scatter   each rank to the next     (n-1)/n * message
    broadcast        each rank but the last to the next: message   (a pipelined chain from the first rank)
    all-to-all       each rank to each other        1/n * message

Source: Patarasuk & Yuan 2009 (ring bounds); nccl-tests, doc/PERFORMANCE.md (sizes).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from bedplate.core.collectives import Collective, CollectiveKind, Flow
from bedplate.core.errors import UsageError

_RING_PASSES = {CollectiveKind.ALL_REDUCE: 2, CollectiveKind.ALL_GATHER: 1, CollectiveKind.REDUCE_SCATTER: 1}


def flows_of(collective: Collective, hosts: Sequence[str]) -> tuple[Flow, ...]:
    """What one operation sends; a group of one rank sends nothing.

    Args:
        collective: The operation.
        hosts: Host of each rank of the job: `hosts[rank]`.

    Returns:
        Flows between different hosts; ranks on one host need no network.

    Raises:
        UsageError: The group names a rank that has no host, or one rank twice.
    """
    group = collective.group
    _check_group(group, len(hosts))
    size_bytes = _flow_bytes(collective)
    pairs = ((hosts[a], hosts[b]) for a, b in _pairs(collective.kind, group))
    label = collective.kind.value
    return tuple(Flow(source=a, target=b, size_bytes=size_bytes, label=label) for a, b in pairs if a != b)


def _pairs(kind: CollectiveKind, group: Sequence[int]) -> Iterable[tuple[int, int]]:
    if len(group) < 2:
        return ()
    if kind is CollectiveKind.ALL_TO_ALL:
        return itertools.permutations(group, 2)
    if kind is CollectiveKind.BROADCAST:
        return itertools.pairwise(group)
    return itertools.pairwise((*group, group[0]))


def _flow_bytes(collective: Collective) -> float:
    size, message_bytes = len(collective.group), float(collective.message_bytes)
    if collective.kind is CollectiveKind.BROADCAST:
        return message_bytes
    if collective.kind is CollectiveKind.ALL_TO_ALL:
        return message_bytes / size
    return _RING_PASSES[collective.kind] * (size - 1) / size * message_bytes


def _check_group(group: Sequence[int], num_ranks: int) -> None:
    if len(set(group)) != len(group):
        raise UsageError("a group names one rank twice", seen=list(group), expected="different ranks")
    if outside := [rank for rank in group if not 0 <= rank < num_ranks]:
        raise UsageError("a group names ranks that have no host", seen=outside, expected=f"0 to {num_ranks - 1}")
