"""This machine as engines get it: one reader, control groups respected."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bedplate.compute.backends.prepare import prepared
from bedplate.compute.inventory import NODE_READER, cpu, take_inventory, this_node
from bedplate.core.errors import UsageError
from bedplate.engines.node_reader import read_node


def test_the_engine_gets_exactly_what_the_inventory_lists() -> None:
    node = this_node()
    assert node.devices == prepared(take_inventory().devices)
    assert {device.runtime.backend for device in node.devices if device.kind == "cpu"} == {"cpu"}
    assert node.memory_bytes == sum(device.memory_bytes for device in node.devices if device.kind == "cpu")
    assert read_node(NODE_READER) == node


def test_a_node_keeps_only_named_cores_and_may_repeat_one() -> None:
    node = this_node((cpu.VENDOR,))
    first = node.cores[0]
    assert node.with_cores([first, first]).cores == (first, first)
    with pytest.raises(UsageError, match="not cores of node"):
        node.with_cores([4096])


def test_a_word_that_names_no_reader_is_refused() -> None:
    with pytest.raises(UsageError, match="not a node reader"):
        read_node("bedplate.compute.inventory.node")


@pytest.mark.skipif(os.geteuid() != 0, reason="making a control group needs root")
def test_a_node_in_a_control_group_has_the_groups_limits() -> None:
    """The real thing: a process in a group of the kernel's reads itself."""
    memory, cpus = 512 * 2**20, 1
    with _control_group(memory, cpus) as files:
        if files is None:
            pytest.skip("no control group can be made here")
        script = (
            f"import os; [open(f, 'w').write(str(os.getpid())) for f in {files!r}]\n"
            "from bedplate.compute.inventory import this_node, cpu\n"
            "node = this_node((cpu.VENDOR,)); print(node.memory_bytes, node.num_cores)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        said = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=True
        ).stdout
    assert said.split() == [str(memory), str(cpus)]


@contextmanager
def _control_group(memory_bytes: int, cpus: int) -> Iterator[list[str] | None]:
    """Files that a process writes its id to in order to be limited; None where no group can be made."""
    v1 = {"memory": {"memory.limit_in_bytes": str(memory_bytes)}, "cpu": {"cpu.cfs_quota_us": str(cpus * 100_000)}}
    v2 = {"": {"memory.max": str(memory_bytes), "cpu.max": f"{cpus * 100_000} 100000"}}
    groups: list[Path] = []
    try:
        for layout in (v1, v2):
            try:
                for controller, limits in layout.items():
                    groups.append(Path("/sys/fs/cgroup") / controller / f"bedplate-test-{os.getpid()}")
                    groups[-1].mkdir()
                    for name, value in limits.items():
                        (groups[-1] / name).write_text(value)
            except OSError:
                continue  # this version is not mounted here, or not ours to write to
            yield [str(group / "cgroup.procs") for group in groups if group.is_dir()]
            return
        yield None
    finally:
        for group in groups:
            with suppress(OSError):
                group.rmdir()
