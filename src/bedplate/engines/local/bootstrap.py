"""First code of a task's process: build the context, call the entry, leave the outcome.

Started by the keeper as `python -P -m bedplate.engines.local.bootstrap FD` with cores, thread counts, masks and path
already set. FD is a memory file with the launch words as JSON. The outcome goes into a second memory file, so it may be of
any size and the supervisor need not be quick.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from bedplate.core.devices import DeviceRuntime
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, to_bytes
from bedplate.core.task import TaskContext
from bedplate.engines.local.channel import Outcome, SocketChannel

_MAX_MESSAGE = 1000
"""Characters of an error that become the message; the log has all of it."""


def main(launch_fd: int) -> int:
    """Run the task; returns the exit code: 0 when the entry returned, 1 when it raised, its own where it called `sys.exit`."""
    launch = json.loads(os.pread(launch_fd, os.fstat(launch_fd).st_size, 0))["task"]
    os.close(launch_fd)
    for fd in (launch["channel"], launch["outcome"], *launch["context"]["descriptors"].values()):
        os.set_inheritable(fd, False)
    try:
        result = _call(launch["entry"], _context(launch))
        _write(launch["outcome"], Outcome(has_returned=True, result=result))
        return 0
    except Exception as error:
        traceback.print_exc()
        lines = "".join(traceback.format_exception_only(error)).encode(errors="replace").decode().split("\n")
        _write(launch["outcome"], Outcome(error=" ".join(filter(None, lines))[:_MAX_MESSAGE]))
        return 1


def _context(launch: Mapping[str, Any]) -> TaskContext:
    words = dict(launch["context"])
    words["cores"] = tuple(words["cores"])
    words["devices"] = tuple(words["devices"])
    words["runtime"] = decode(DeviceRuntime, words["runtime"])
    return TaskContext(**words, channel=SocketChannel(socket.socket(fileno=launch["channel"])))


def _call(entry: str, context: TaskContext) -> JsonObject | None:
    module, _, name = entry.partition(":")
    function: Callable[[TaskContext], JsonObject | None] = getattr(importlib.import_module(module), name)
    result = function(context)
    if result is not None and not isinstance(result, Mapping):
        raise TypeError(f"{entry} must return a JSON object or None, not {type(result).__name__}")
    return result


def _write(fd: int, outcome: Outcome) -> None:
    data = memoryview(to_bytes(outcome))
    os.ftruncate(fd, 0)
    offset = 0
    while offset < len(data):
        offset += os.pwrite(fd, data[offset:], offset)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
