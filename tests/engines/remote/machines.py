"""Node readers that agents call by name: a machine of its own kind, one that hangs, one that cannot be read."""

import itertools
import time

from bedplate.core.devices import Device, Node
from bedplate.core.errors import UnavailableError

_calls = itertools.count()


def small() -> Node:
    cpu = Device(id="cpu:0", kind="cpu", vendor="any", model="Small CPU", memory_bytes=2**30, cores=(0,))
    return Node(id="machine", devices=(cpu,), memory_bytes=2**30, labels={"rack": "7"}, troubles=("probe 'x' is broken: no",))


def first_hangs() -> Node:
    """The first of the agents of a process that asks gets no answer."""
    if next(_calls) == 0:
        time.sleep(5)
    return small()


def unreadable() -> Node:
    raise UnavailableError("the processors of this machine cannot be read", seen="no /proc", expected="Linux")
