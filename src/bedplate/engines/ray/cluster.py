"""A Ray cluster of several raylets on this machine, on loopback: for trying, for tests, and to lose a node on purpose.

Each raylet with its helpers is one task of a local engine, so its keeper sees to it that nothing outlives this process, also
not its `kill -9`. Killing the task is losing the node: raylet, agents and all that they started end without notice.
Where this differs from `ray.cluster_utils.Cluster`: no process stays, the user's `/tmp/ray` and its address file are not
touched, and nothing is printed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
import tempfile
from pathlib import Path
from typing import IO

from bedplate.core.devices import Node
from bedplate.core.errors import NotFoundError, UnavailableError
from bedplate.core.workload import Gang, Resources, Task, TaskEventKind
from bedplate.engines.base import GangHandle
from bedplate.engines.local.engine import LocalEngine

NODE_LABEL = "bedplate-node"
"""Label of a Ray node that gives it the name by which people know it."""

_HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""A lost node is known within about two seconds; Ray's own defaults take some thirteen."""
_NO_SPARE_WORKERS = {"RAY_prestart_worker_first_driver": "0", "RAY_enable_worker_prestart": "0"}
"""Ray would start an idle Python worker per core for each driver; one agent per node is all that is needed."""
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_HEAD = 2
"""Last part of the head's address; the nodes follow. Ray takes 127.0.0.1 to mean the machine's outward address."""
_START_S = 120.0
"""A raylet starts half a dozen Python processes: two to four seconds where nothing else runs."""
_PREFIX = "bp-ray-"
"""Short, in /tmp: the path of a Unix socket may have 107 characters, and Ray's own part takes 62 of them."""


class LocalRayCluster:
    """Raylets labelled `bedplate-node: node-<i>`, next to a head that carries no work and so is never lost.

    Args:
        machine: This machine, whose cores the nodes share.
        cores: Cores of each node, as Ray counts them; together they may be more than the machine has.
        accelerators: Model and number of those that each node claims to have, for trying placement; none where not given.

    Raises:
        UnavailableError: A raylet did not come up.
    """

    def __init__(
        self, machine: Node, cores: tuple[int, ...] = (2, 2, 2), accelerators: tuple[tuple[str, int], ...] = ()
    ) -> None:
        remove_abandoned()
        self._cores = cores
        self._accelerators = dict(enumerate(accelerators))
        self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
        self._lock = _hold_lock(self._root)
        self._machine = machine
        self._engine = LocalEngine(self._root, machine.with_cores(machine.cores * (len(cores) + 1)))
        self._nodes: dict[str, GangHandle] = {}
        try:
            head = self._start("head", _HEAD, 0, ["--head", "--port", "0", "--include-dashboard", "false", "--no-monitor"])
            self.address = self._wait_joined(head)
            """`host:port` of the cluster's control store."""
            self.restore()
        except BaseException:
            self.close()
            raise

    def remove_node(self, name: str) -> None:
        """Kill a node and all that runs on it. Returns when its processes are gone; Ray knows some two seconds later.

        Raises:
            NotFoundError: No such node.
        """
        if name not in self._nodes:
            raise NotFoundError(f"no node '{name}'", expected=", ".join(sorted(self._nodes)) or "none is left")
        handle = self._nodes.pop(name)
        self._engine.kill(handle, 0, signal.SIGKILL)
        self._engine.wait(handle)

    def restore(self) -> None:
        """Start again the nodes that were removed."""
        missing = [(index, f"node-{index}") for index in range(len(self._cores)) if f"node-{index}" not in self._nodes]
        joining = []
        for index, name in missing:
            arguments = ["--address", self.address, "--labels", f"{NODE_LABEL}={name}"]
            arguments += self._claimed(index)
            self._nodes[name] = self._start(name, _HEAD + 1 + index, self._cores[index], arguments)
            joining.append(self._nodes[name])
        for handle in joining:
            self._wait_joined(handle)

    def close(self) -> None:
        """End all nodes and remove what they wrote. Calling it twice is fine."""
        self._nodes.clear()
        self._engine.close()
        shutil.rmtree(self._root, ignore_errors=True)
        self._lock.close()

    def _claimed(self, index: int) -> list[str]:
        model, count = self._accelerators.get(index, ("", 0))
        return ["--num-gpus", str(count), "--resources", json.dumps({f"accelerator_type:{model}": 1})] if count else []

    def _start(self, name: str, host: int, cores: int, arguments: list[str]) -> GangHandle:
        common = ["--node-ip-address", f"127.0.0.{host}", "--num-cpus", str(cores), "--num-gpus", "0"]
        common += ["--object-store-memory", str(_OBJECT_STORE_BYTES), "--include-log-monitor", "false"]
        task = Task(
            entry="bedplate.engines.ray.raylet:main",
            spec={"arguments": [*common, *arguments]},
            resources=Resources(cpus=len(self._machine.cores)),
            environment={**_HEALTH_CHECKS, **_NO_SPARE_WORKERS, "RAY_TMPDIR": "", "RAY_ADDRESS": ""},
        )
        return self._engine.submit(Gang(name=name, tasks=(task,)))

    def _wait_joined(self, handle: GangHandle) -> str:
        seen = 0
        while events := self._engine.events(handle, seen, _START_S):
            for event in events:
                if event.kind is TaskEventKind.PROGRESS:
                    return str(event.attributes["address"])
                if event.kind is TaskEventKind.EXITED:
                    break
            seen = events[-1].sequence + 1
        raise UnavailableError(
            f"the Ray node '{handle.name}' did not come up",
            seen="\n".join(self._engine.logs(handle, 0).splitlines()[-12:]),
            expected=f"a raylet within {_START_S:.0f} s",
            next_step="see whether the loopback addresses 127.0.0.2 and up are free to use, and `free -g`",
        )


def _lock_of(root: Path) -> Path:
    return root / "owner.lock"


def _hold_lock(root: Path) -> IO[str]:
    """The lock that says that the directory has a living owner; it has no moment at which it exists and is free."""
    unnamed = root / "owner.new"
    lock = unnamed.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    unnamed.rename(_lock_of(root))
    return lock


def remove_abandoned() -> None:
    """Remove directories of clusters whose owner was killed: their lock is free; keepers have ended the processes."""
    for root in Path("/tmp").glob(f"{_PREFIX}*"):  # noqa: S108
        with contextlib.suppress(OSError), _lock_of(root).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(root, ignore_errors=True)
