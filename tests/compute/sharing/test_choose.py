from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.compute.sharing.base import Machine, Share
from bedplate.compute.sharing.choose import ENFORCERS, enforced, enforcement
from bedplate.core.control_groups import power
from bedplate.core.devices import Device, DevicePartition, Visibility
from bedplate.core.errors import ResourcesError, UsageError

GIB = 2**30
HALF = Share(frac=0.5, memory_bytes=16 * GIB)


def card(vendor: str = "nvidia", *partitions: DevicePartition) -> Device:
    return Device(
        id="cuda:0",
        kind="gpu",
        vendor=vendor,
        model="Card",
        memory_bytes=40 * GIB,
        partitions=partitions,
        visibility=Visibility(variable="CUDA_VISIBLE_DEVICES", word="GPU-1"),
    )


def slice_(name: str, gib: int) -> DevicePartition:
    return DevicePartition(id=f"MIG-{name}", profile=name, memory_bytes=gib * GIB)


def machine(root: Path, *files: str, **environment: str) -> Machine:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return Machine(root=root, environment=environment)


def test_where_nothing_enforces_a_share_it_is_called_logical(tmp_path: Path) -> None:
    found = enforcement(card(), HALF, machine(tmp_path))
    assert found.is_logical
    assert (found.memory, found.compute, dict(found.launch.environment)) == (False, False, {})
    assert found.as_json()["mechanism"] == "logical"
    assert found.as_json()["is_logical"] is True
    assert set(found.rejected) == {"mig", "hami-core", "mps"}
    assert str(found) == "logical (nothing enforces it)"


def test_who_wants_no_logical_share_hears_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ResourcesError, match="nothing holds a task") as caught:
        enforced(card(), HALF, machine(tmp_path))
    assert "mps: the MPS daemon does not run" in str(caught.value)
    with pytest.raises(ResourcesError, match="no mechanism for 'metax'"):
        enforced(card("metax"), HALF, machine(tmp_path))


def test_mig_gives_the_smallest_slice_that_holds_the_share(tmp_path: Path) -> None:
    device = card("nvidia", slice_("1g.5gb", 5), slice_("3g.20gb", 20), slice_("7g.40gb", 40))
    found = enforced(device, HALF, machine(tmp_path))
    assert (found.mechanism, found.launch.partition) == ("mig", "MIG-3g.20gb")
    assert found.launch.environment == {"CUDA_VISIBLE_DEVICES": "MIG-3g.20gb"}
    assert found.memory and found.compute


def test_a_share_that_no_slice_holds_goes_to_the_next_mechanism(tmp_path: Path) -> None:
    device = card("nvidia", slice_("1g.5gb", 5))
    found = enforcement(device, HALF, machine(tmp_path, "tmp/nvidia-mps/control"))
    assert found.mechanism == "mps"
    assert "no slice" in found.rejected["mig"]


def test_hami_core_is_loaded_before_cuda_with_its_limits(tmp_path: Path) -> None:
    found = enforced(card(), HALF, machine(tmp_path, "usr/local/vgpu/libvgpu.so", LD_PRELOAD="/lib/other.so"))
    assert found.mechanism == "hami-core"
    assert found.launch.environment == {
        "LD_PRELOAD": "/usr/local/vgpu/libvgpu.so:/lib/other.so",
        "CUDA_DEVICE_MEMORY_LIMIT": "16384m",
        "CUDA_DEVICE_SM_LIMIT": "50",
    }
    elsewhere = machine(tmp_path / "b", "opt/libvgpu.so", BEDPLATE_LIBVGPU="/opt/libvgpu.so")
    assert enforced(card(), HALF, elsewhere).launch.environment["LD_PRELOAD"] == "/opt/libvgpu.so"


def test_mps_limits_threads_and_memory_of_the_one_device_that_is_seen(tmp_path: Path) -> None:
    found = enforced(card(), Share(frac=0.25, memory_bytes=8 * GIB), machine(tmp_path, "tmp/nvidia-mps/control"))
    assert found.launch.environment == {
        "CUDA_MPS_PIPE_DIRECTORY": "/tmp/nvidia-mps",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=8192M",
    }


def test_a_vnpu_is_a_slice_too(tmp_path: Path) -> None:
    visibility = Visibility(variable="ASCEND_RT_VISIBLE_DEVICES", word="0")
    device = replace(card("huawei", slice_("vir10", 20)), visibility=visibility)
    found = enforced(device, HALF, machine(tmp_path))
    assert (found.mechanism, found.launch.environment) == ("vnpu", {"ASCEND_RT_VISIBLE_DEVICES": "MIG-vir10"})


def test_processors_are_shared_by_control_groups_where_they_can_be_made() -> None:
    cpu = Device(id="cpu:0", kind="cpu", vendor="amd", model="EPYC", memory_bytes=40 * GIB, cores=(0, 1))
    found = enforcement(cpu, Share(frac=0.25, memory_bytes=GIB))
    if power().why_not:
        assert found.is_logical
        assert found.rejected == {"cgroup": power().why_not}
    else:
        assert (found.mechanism, found.launch.cpu_milli, found.launch.memory_bytes) == ("cgroup", 500, GIB)


@pytest.mark.parametrize(("frac", "memory_bytes"), [(0.0, 1), (1.5, 1), (0.5, 0), (-0.1, 1)])
def test_an_impossible_share_is_refused(frac: float, memory_bytes: int) -> None:
    with pytest.raises(UsageError, match="no such share"):
        Share(frac=frac, memory_bytes=memory_bytes)


def test_every_mechanism_says_what_it_enforces_and_where_it_is_documented() -> None:
    for item in ENFORCERS:
        assert item.source
        assert item.enforces_memory or item.enforces_compute
