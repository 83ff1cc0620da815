"""NVIDIA's record: what nvidia-smi prints and what NVML answers become devices that engines can hand out.

No GPU is needed: the tool is a script that prints what a node with two H100 prints, and NVML is a stand-in that answers by
the names of its Python binding. Neither shows that the driver says the same; that takes a machine with one.
"""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bedplate.compute.inventory import nvidia, take_inventory
from bedplate.compute.inventory.nvidia import precisions_of, read_nvml, read_smi, visible
from bedplate.core.devices import DeviceLink, HealthState, Visibility

SMI = """0, GPU-8a56a4bc-00a1-5f0e-a123-0123456789ab, NVIDIA H100 80GB HBM3, 81559, 9.0, 0
1, GPU-9b67a4bc-00a1-5f0e-a123-0123456789ab, NVIDIA H100 80GB HBM3, 81559, 9.0, 3
2, GPU-1c78a4bc-00a1-5f0e-a123-0123456789ab, Tesla V100-SXM2-16GB, 16384, 7.0, [N/A]
"""


def test_each_line_of_nvidia_smi_is_a_device() -> None:
    first, second, third = read_smi(SMI)
    assert (first.id, first.model, first.memory_bytes) == ("cuda:0", "H100 80GB HBM3", 81559 * 2**20)
    assert first.visibility == Visibility(variable="CUDA_VISIBLE_DEVICES", word="GPU-8a56a4bc-00a1-5f0e-a123-0123456789ab")
    assert {"sm_90", "bf16", "fp8"} <= set(first.features)
    assert [device.health.state for device in (first, second, third)] == [
        HealthState.OK,
        HealthState.FAILED,
        HealthState.UNKNOWN,
    ]
    assert "3 uncorrectable" in second.health.findings[0]
    assert "bf16" not in third.features


def test_unexpected_nvidia_smi_output_is_an_error() -> None:
    with pytest.raises(ValueError, match="No devices were found"):
        read_smi("No devices were found")


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("", []),
        ("2,0", ["cuda:2", "cuda:0"]),
        ("GPU-9b", ["cuda:1"]),
        ("0,7,1", ["cuda:0"]),
        ("-1", []),
    ],
)
def test_the_variable_that_hides_devices_is_obeyed(wanted: str | None, ids: list[str]) -> None:
    assert [device.id for device in visible(read_smi(SMI), wanted)] == ids


@pytest.mark.parametrize(
    ("capability", "has_bf16"), [("6.1", False), ("7.5", False), ("8.6", True), ("9.0", True), ("12.0", True)]
)
def test_an_unknown_architecture_has_its_predecessors_precisions(capability: str, has_bf16: bool) -> None:
    assert ("bf16" in precisions_of(capability)) == has_bf16


def test_the_tool_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<END\n{SMI}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [device.id for device in take_inventory((nvidia.VENDOR,)).devices] == ["cuda:1"]


def test_a_tool_without_a_driver_is_a_broken_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho could not communicate with the NVIDIA driver; exit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    inventory = take_inventory((nvidia.VENDOR,))
    assert inventory.devices == ()
    assert "could not communicate" in inventory.troubles[0].message


def test_a_machine_without_any_of_it_is_normal() -> None:
    nowhere = replace(nvidia.VENDOR, device_files=(), tools=("no-such-tool",))
    assert take_inventory((nowhere,)).troubles == ()


class NvmlError(Exception):
    pass


def make_nvml() -> SimpleNamespace:
    """Two GPUs with two links to each other and four to the switch, one of them cut in slices."""

    def refuse(*_: object) -> object:
        raise NvmlError("not supported")

    def remote_bus(gpu: int, link: int) -> SimpleNamespace:
        return SimpleNamespace(busId=f"0000:0{1 - gpu}:00.0".encode())

    def state(_gpu: int, link: int) -> int:
        if link >= 6:
            raise NvmlError("no such link")
        return 1

    return SimpleNamespace(
        NVMLError=NvmlError,
        NVML_NVLINK_MAX_LINKS=18,
        NVML_MEMORY_ERROR_TYPE_UNCORRECTED=1,
        NVML_VOLATILE_ECC=0,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetPciInfo=lambda gpu: SimpleNamespace(busId=f"0000:0{gpu}:00.0".encode()),
        nvmlDeviceGetCudaComputeCapability=lambda gpu: (9, 0),
        nvmlDeviceGetTotalEccErrors=lambda gpu, kind, counter: 0 if gpu == 0 else refuse(),
        nvmlDeviceGetName=lambda handle: b"NVIDIA H100 MIG 1g.10gb" if isinstance(handle, str) else b"NVIDIA H100",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=10**10 if isinstance(handle, str) else 8 * 10**10),
        nvmlDeviceGetUUID=lambda handle: f"MIG-{handle}" if isinstance(handle, str) else f"GPU-{handle}",
        nvmlDeviceGetCpuAffinity=lambda gpu, words: [0b1100] + [0] * (words - 1),
        nvmlDeviceGetNvLinkState=state,
        nvmlDeviceGetNvLinkVersion=lambda gpu, link: 4,
        nvmlDeviceGetNvLinkRemoteDeviceType=lambda gpu, link: 0 if link < 2 else 2,
        nvmlDeviceGetNvLinkRemotePciInfo=remote_bus,
        nvmlDeviceGetMaxMigDeviceCount=lambda gpu: 7 if gpu == 0 else refuse(),
        nvmlDeviceGetMigDeviceHandleByIndex=lambda gpu, index: f"slice-{index}" if index < 2 else refuse(),
    )


def test_nvml_gives_links_health_near_cores_and_slices() -> None:
    first, second = read_nvml(make_nvml())
    assert first.links == (
        DeviceLink(to="cuda:1", kind="nvlink", count=2, bandwidth_bytes_per_s=50e9),
        DeviceLink(to="nvswitch", kind="nvlink", count=4, bandwidth_bytes_per_s=100e9),
    )
    assert [(item.id, item.profile) for item in first.partitions] == [("MIG-slice-0", "1g.10gb"), ("MIG-slice-1", "1g.10gb")]
    assert first.cores == (2, 3)
    assert (first.health.state, second.health.state) == (HealthState.OK, HealthState.UNKNOWN)
    assert second.partitions == ()


def test_an_old_binding_loses_only_what_it_cannot_answer() -> None:
    nvml = make_nvml()
    del nvml.nvmlDeviceGetNvLinkRemoteDeviceType
    first, _ = read_nvml(nvml)
    assert sum(link.count for link in first.links) == 6
