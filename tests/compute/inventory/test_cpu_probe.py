"""CPUs are read as the kernel shows them; here the files of other machines than this one."""

import os
from pathlib import Path

import pytest

from bedplate.compute.inventory.cgroups import cpu_limit, memory_limit_bytes
from bedplate.compute.inventory.cpu import CpuProbe, parse_core_list

GIB = 2**30
XEON = "\n".join(
    [
        "vendor_id\t: GenuineIntel",
        "model name\t: Intel(R) Xeon(R)  Platinum 8480+",
        "flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8",
    ]
)
GRACE = "BogoMIPS\t: 2000.00\nFeatures\t: fp asimd asimddp sve bf16 i8mm sve2\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f"


def make_machine(root: Path, processor: str, nodes: dict[int, tuple[str, int]], total_gib: int | None = None) -> Path:
    """A file system as the kernel shows it: nodes as {number: (core list, memory in GiB)}."""
    cores = sorted(core for text, _ in nodes.values() for core in parse_core_list(text))
    write(root / "proc/cpuinfo", "".join(f"processor\t: {core}\n{processor}\n\n" for core in cores))
    total_gib = sum(size for _, size in nodes.values()) if total_gib is None else total_gib
    write(root / "proc/meminfo", f"MemTotal:  {total_gib * GIB // 1024} kB\n")
    for node, (core_list, size_gib) in nodes.items():
        write(root / f"sys/devices/system/node/node{node}/cpulist", core_list + "\n")
        write(root / f"sys/devices/system/node/node{node}/meminfo", f"Node {node} MemTotal:  {size_gib * GIB // 1024} kB\n")
    return root


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_each_numa_node_is_a_device_with_its_own_cores_and_memory(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-1,4-5", 64), 1: ("2-3,6-7", 32)})
    first, second = CpuProbe(root, frozenset(range(8))).devices()
    assert (first.id, first.cores, first.memory_bytes) == ("cpu:0", (0, 1, 4, 5), 64 * GIB)
    assert (second.id, second.cores, second.memory_bytes) == ("cpu:1", (2, 3, 6, 7), 32 * GIB)
    assert (first.vendor, first.model) == ("intel", "Intel(R) Xeon(R) Platinum 8480+")
    assert {"avx2", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8"} <= set(first.features)
    assert "neon" not in first.features


def test_an_arm_server_is_named_by_its_registers(tmp_path: Path) -> None:
    (device,) = CpuProbe(make_machine(tmp_path, GRACE, {0: ("0-3", 16)}), frozenset({2})).devices()
    assert (device.vendor, device.model, device.cores) == ("arm", "Neoverse-V2", (2,))
    assert {"neon", "sve", "bf16", "i8mm"} <= set(device.features)


def test_only_cores_of_our_cpuset_make_a_device(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-3", 8), 1: ("4-7", 8)})
    (device,) = CpuProbe(root, frozenset({5, 6})).devices()
    assert (device.id, device.cores) == ("cpu:1", (5, 6))


def test_memory_that_no_core_is_near_to_belongs_to_no_device(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-3", 64), 1: ("", 192)})
    (device,) = CpuProbe(root, frozenset(range(4))).devices()
    assert device.memory_bytes == 64 * GIB


def test_memory_beyond_the_numa_nodes_is_shared_out(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-1", 10)}, total_gib=24)
    assert CpuProbe(root, frozenset({0, 1})).devices()[0].memory_bytes == 24 * GIB


def test_a_kernel_that_hides_its_nodes_gives_one_device(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", f"processor\t: 0\n{XEON}\n\nprocessor\t: 1\n{XEON}\n")
    write(tmp_path / "proc/meminfo", f"MemTotal:  {4 * GIB // 1024} kB\n")
    (device,) = CpuProbe(tmp_path, frozenset({0, 1})).devices()
    assert (device.id, device.cores, device.memory_bytes) == ("cpu:0", (0, 1), 4 * GIB)


def test_a_containers_memory_limit_is_shared_by_its_nodes(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-1", 48), 1: ("2-3", 16)})
    write(root / "proc/self/cgroup", "0::/\n")
    write(root / "sys/fs/cgroup/memory.max", f"{8 * GIB}\n")
    assert [device.memory_bytes for device in CpuProbe(root, frozenset(range(4))).devices()] == [6 * GIB, 2 * GIB]


def test_memory_of_nodes_outside_the_cpuset_is_not_ours(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-1", 8), 1: ("2-3", 8)})
    write(root / "proc/self/status", "Mems_allowed_list:\t0\n")
    assert [device.memory_bytes for device in CpuProbe(root, frozenset(range(4))).devices()] == [8 * GIB, 0]


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/pods/ours\n")
    write(tmp_path / "sys/fs/cgroup/pods/memory.max", f"{GIB}\n")
    write(tmp_path / "sys/fs/cgroup/pods/ours/memory.max", "max\n")
    write(tmp_path / "sys/fs/cgroup/pods/cpu.max", "max 100000\n")
    write(tmp_path / "sys/fs/cgroup/pods/ours/cpu.max", "150000 100000\n")
    assert memory_limit_bytes(tmp_path) == GIB
    assert cpu_limit(tmp_path) == 1.5


def test_cgroup_v1_limits_are_read_even_at_the_hosts_path(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2 * GIB}\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert memory_limit_bytes(tmp_path) == 2 * GIB
    assert cpu_limit(tmp_path) == 0.5


def test_a_machine_without_groups_has_no_limits(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path) is None
    assert cpu_limit(tmp_path) is None


def test_this_machine_has_exactly_the_cores_that_we_may_use() -> None:
    devices = CpuProbe().devices()
    assert {core for device in devices for core in device.cores} == os.sched_getaffinity(0)
    assert all(device.memory_bytes > GIB // 8 for device in devices)


@pytest.mark.parametrize(("text", "cores"), [("", set()), ("3", {3}), ("0-2,5\n", {0, 1, 2, 5})])
def test_core_lists_are_read_as_the_kernel_writes_them(text: str, cores: set[int]) -> None:
    assert parse_core_list(text) == cores


@pytest.mark.parametrize(
    ("quota", "count"), [("150000 100000", 1), ("400000 100000", 4), ("50000 100000", 1), ("max 100000", 8)]
)
def test_no_more_cores_are_offered_than_there_is_processor_time_for(tmp_path: Path, quota: str, count: int) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-3", 8), 1: ("4-7", 8)})
    write(root / "proc/self/cgroup", "0::/\n")
    write(root / "sys/fs/cgroup/cpu.max", f"{quota}\n")
    devices = CpuProbe(root, frozenset(range(8)), host="a").devices()
    assert sum(len(device.cores) for device in devices) == count


def test_containers_do_not_all_start_at_the_first_core(tmp_path: Path) -> None:
    root = make_machine(tmp_path, XEON, {0: ("0-63", 64)})
    write(root / "proc/self/cgroup", "3:cpu,cpuacct:/\n")
    write(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n")
    write(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    chosen = {CpuProbe(root, frozenset(range(64)), host=f"container-{index}").devices()[0].cores for index in range(32)}
    assert all(len(cores) == 2 for cores in chosen)
    assert len(chosen) > 16
