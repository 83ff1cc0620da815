"""Clusters in words: `100x8:A100,50x8:V100:96:1TB,20x0:cpu:64:256GB`, nodes x devices : model : cores : memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.scheduler.placement.request import Node
from bedplate.core.errors import UsageError
from bedplate.core.units import parse_bytes

CORES_PER_DEVICE = 16
MEMORY_PER_DEVICE_BYTES = 128 << 30
"""What a node has where the words do not say it: about that of common eight-card servers."""
MOST_NODES = 100_000
_MIB = 1 << 20
_EXPECTED = "NODESxDEVICES:MODEL[:CORES[:MEMORY]], such as 100x8:A100 or 20x0:cpu:64:256GB"
_GROUP = re.compile(r"(\d{1,6})x(\d{1,4}):([^:,]+)(?::(\d{1,6})(?::([^:,]+))?)?")


def read_cluster(words: str) -> list[Node]:
    """The nodes of a cluster in words, groups one after the other.

    Raises:
        UsageError: A group cannot be read, has no nodes, or says too little of nodes without devices.
    """
    nodes = [node for group, part in enumerate(words.split(",")) for node in _group(part.strip(), group)]
    if not 0 < len(nodes) <= MOST_NODES:
        raise UsageError("no such number of nodes", seen=len(nodes), expected=f"1 to {MOST_NODES}")
    return nodes


def _group(part: str, group: int) -> Iterator[Node]:
    match = _GROUP.fullmatch(part)
    if match is None:
        raise UsageError("a part of the cluster cannot be read", seen=part, expected=_EXPECTED)
    count, devices, model = int(match[1]), int(match[2]), match[3]
    if not devices and match[4] is None:
        raise UsageError("nodes without devices need a number of cores", seen=part, expected=_EXPECTED)
    cores = CORES_PER_DEVICE * devices if match[4] is None else int(match[4])
    memory_bytes = MEMORY_PER_DEVICE_BYTES * (devices or 1) if match[5] is None else parse_bytes(match[5])
    for at in range(count):
        yield Node(
            name=f"{model.lower()}-{group}-{at:05}",
            cpu_milli=cores * WHOLE,
            memory_mib=memory_bytes // _MIB,
            num_devices=devices,
            model=model if devices else "none",
        )
