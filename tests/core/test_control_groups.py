"""Where a control group is made and what is written into it, on recorded trees; that the kernel obeys is tested by engines."""

from pathlib import Path

import pytest

from bedplate.core.control_groups import enter_new_group, power, remove_abandoned, remove_group
from bedplate.core.errors import UnavailableError


def machine(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def version_2(root: Path, *, procs: str = "", handed_on: str = "cpu memory", controllers: str = "cpu memory io") -> Path:
    own = "sys/fs/cgroup/user/app"
    files = {
        "sys/fs/cgroup/cgroup.controllers": controllers,
        f"{own}/cgroup.controllers": controllers,
        f"{own}/cgroup.subtree_control": handed_on,
        f"{own}/cgroup.procs": procs,
        f"{own}/cgroup.type": "domain",
    }
    return machine(root, "0::/user/app\n", files)


def version_1(root: Path) -> Path:
    files = {"sys/fs/cgroup/cpu/box/cgroup.procs": "", "sys/fs/cgroup/memory/box/cgroup.procs": ""}
    return machine(root, "4:memory:/box\n1:cpu:/box\n0::/\n", files)


def test_version_2_takes_both_limits_in_one_group(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    assert power(root).cpu and power(root).memory
    enter_new_group("7", 250, 10**9, root)
    group = root / "sys/fs/cgroup/user/app/bedplate-7"
    assert (group / "cpu.max").read_text() == "25000 100000"
    assert (group / "memory.max").read_text() == "1000000000"
    assert (group / "cgroup.procs").read_text() == "0"


def test_version_1_takes_a_group_for_each_limit_under_our_own(tmp_path: Path) -> None:
    root = version_1(tmp_path)
    assert power(root).cpu and power(root).memory
    enter_new_group("7", 1500, 10**9, root)
    assert (root / "sys/fs/cgroup/cpu/box/bedplate-7/cpu.cfs_quota_us").read_text() == "150000"
    assert (root / "sys/fs/cgroup/memory/box/bedplate-7/memory.limit_in_bytes").read_text() == "1000000000"


def test_without_a_limit_of_memory_there_is_no_group_for_it(tmp_path: Path) -> None:
    root = version_1(tmp_path)
    enter_new_group("7", 500, None, root)
    assert not (root / "sys/fs/cgroup/memory/box/bedplate-7").exists()


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"procs": "12\n", "handed_on": ""}, "holds processes"),
        ({"controllers": "io"}, "no controller for cpu and memory"),
    ],
)
def test_version_2_says_why_it_cannot(tmp_path: Path, state: dict[str, str], reason: str) -> None:
    root = version_2(tmp_path, **state)
    assert not power(root).cpu
    assert reason in power(root).why_not
    with pytest.raises(UnavailableError, match="cannot be enforced") as caught:
        enter_new_group("7", 500, None, root)
    assert reason in str(caught.value)


def test_a_machine_without_control_groups_can_limit_nothing(tmp_path: Path) -> None:
    assert power(tmp_path).why_not == "no writable control group for cpu and memory"
    with pytest.raises(UnavailableError, match="cannot be enforced"):
        enter_new_group("7", 500, None, tmp_path)


def test_only_our_empty_groups_are_removed(tmp_path: Path) -> None:
    root = version_1(tmp_path)
    cpu = root / "sys/fs/cgroup/cpu/box"
    for name, procs in (("bedplate-1", "33\n"), ("other", "")):
        (cpu / name).mkdir()
        (cpu / name / "cgroup.procs").write_text(procs)
    (cpu / "bedplate-2").mkdir()
    remove_abandoned(root)
    remove_group("2", root)
    remove_group("3", root)
    assert (cpu / "bedplate-1").exists() and (cpu / "other").exists()
    assert not (cpu / "bedplate-2").exists()
