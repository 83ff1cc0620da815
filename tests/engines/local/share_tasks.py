"""Tasks that use as much as they are let."""

import os
import subprocess
import sys
import time

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext

_BURN = "import sys, time; end = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


def burn(context: TaskContext) -> JsonObject:
    """Compute for some seconds; says how much of them it got."""
    began_s, used_s = time.monotonic(), time.process_time()
    while time.monotonic() - began_s < float(str(context.spec["seconds"])):
        pass
    return {"used_frac": (time.process_time() - used_s) / (time.monotonic() - began_s)}


def burn_in_children(context: TaskContext) -> JsonObject:
    """The same in several processes, together."""
    began_s = time.monotonic()
    command = [sys.executable, "-I", "-S", "-c", _BURN, str(context.spec["seconds"])]
    children = [subprocess.Popen(command) for _ in range(int(str(context.spec["children"])))]
    for child in children:
        child.wait()
    times = os.times()
    return {"used_frac": (times.children_user + times.children_system) / (time.monotonic() - began_s)}


def fill(context: TaskContext) -> JsonObject:
    """Touch memory."""
    block = bytearray(int(str(context.spec["num_bytes"])))
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.5)
    return {"bytes": len(block)}
