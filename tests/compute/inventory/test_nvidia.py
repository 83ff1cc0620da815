"""NVIDIA's record: what nvidia-smi prints and what NVML answers become devices that engines can hand out.

No GPU is needed: the tool is a script that prints fixtures, and NVML is a stand-in that answers by the names of its Python
binding. Neither shows that the driver says the same; that takes a machine with one.
"""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bedplate.compute.inventory import nvidia, take_inventory
from bedplate.compute.inventory.nvidia import VENDOR, visible
from bedplate.compute.inventory.nvidia.architecture import generation_of, precisions_of
from bedplate.compute.inventory.nvidia.nvml import read_nvml
from bedplate.core.devices import DeviceAddress, DeviceLink, DevicePartition, DeviceUsage, HealthState, Proximity, Visibility
from bedplate.core.errors import ConfigurationError
from tests.compute.inventory.saved_outputs import FIXTURES, read_text, saved

QUERY = (FIXTURES / "nvidia-smi/query.csv").read_text()
MIB = 2**20


def test_each_row_of_a_query_is_a_device() -> None:
    first, second, third = saved("nvidia-smi/query.csv", tool="nvidia-smi")
    assert (first.id, first.model, first.memory_bytes) == ("cuda:0", "H100 80GB HBM3", 81559 * MIB)
    assert first.visibility == Visibility(variable="CUDA_VISIBLE_DEVICES", word="GPU-8a56a4bc-00a1-5f0e-a123-0123456789ab")
    assert {"sm_90", "bf16", "fp8"} <= set(first.features)
    assert first.generation == "Hopper"
    assert first.usage == DeviceUsage(
        utilisation_frac=0.98, memory_used_bytes=74210 * MIB, temperature_c=61.0, power_w=652.34, power_limit_w=700.0
    )
    assert first.address.cdi == "nvidia.com/gpu=GPU-8a56a4bc-00a1-5f0e-a123-0123456789ab"
    assert first.address.pci_bus_id == "0000:19:00.0"
    assert [device.health.state for device in (first, second, third)] == [
        HealthState.OK,
        HealthState.FAILED,
        HealthState.UNKNOWN,
    ]
    assert second.health.codes == ("Xid 48",)
    assert "3 uncorrectable" in second.health.findings[0]
    assert "bf16" not in third.features
    assert third.usage == DeviceUsage(memory_used_bytes=0, temperature_c=30.0)


def test_columns_come_in_any_order_and_number_and_without_units() -> None:
    (device,) = read_text("name, memory.total [MiB], index, fan.speed [%]\nTesla T4, 15360, 3, 12\n")
    assert (device.id, device.model, device.memory_bytes) == ("cuda:3", "Tesla T4", 15360 * MIB)


def test_the_xml_has_partitions_and_pending_remaps() -> None:
    first, second = saved("nvidia-smi/query.xml")
    assert (first.generation, first.address.device_files, first.health.state) == ("Hopper", ("/dev/nvidia0",), HealthState.OK)
    assert (second.health.state, second.health.codes) == (HealthState.DEGRADED, ("Xid 63",))
    assert second.partitions == (DevicePartition(id="7/0", profile="16 SMs", memory_bytes=9856 * MIB),)
    assert (second.usage.utilisation_frac, second.usage.power_w) == (None, 71.2)


def test_the_log_says_what_the_xml_does_in_old_and_new_drivers() -> None:
    first, second = saved("nvidia-smi/query-log.txt")
    assert (first.model, first.generation, first.memory_bytes) == ("A10", "Ampere", 23028 * MIB)
    assert first.usage == DeviceUsage(
        utilisation_frac=0.41, memory_used_bytes=11021 * MIB, temperature_c=52.0, power_w=98.31, power_limit_w=150.0
    )
    assert (first.health.codes, second.health.codes) == (("Xid 64",), ("Xid 48",))
    assert (second.usage.power_w, second.usage.power_limit_w, second.usage.utilisation_frac) == (24.06, 300.0, None)
    assert second.address.device_files == ("/dev/nvidia1",)


def test_query_and_xml_complete_each_other() -> None:
    first, *_ = saved("nvidia-smi/query.csv", "nvidia-smi/query.xml")
    assert "sm_90" in first.features
    assert first.address.device_files == ("/dev/nvidia0",)


def test_the_matrix_gives_links_distances_and_near_cores() -> None:
    first, _second, third = saved("nvidia-smi/query.csv", "nvidia-smi/topo.txt")
    assert first.links == (DeviceLink(to="cuda:1", kind="nvlink", count=18),)
    assert first.distances == {"cuda:1": Proximity.LINK, "cuda:2": Proximity.SYSTEM}
    assert third.distances["cuda:1"] is Proximity.NUMA_NODE
    assert (first.cores, first.address.numa_node) == ((0, 1, 2, 3, 8, 9, 10, 11), 0)
    assert (third.cores, third.address.numa_node) == ((4, 5, 6, 7), 1)


def test_the_plain_table_is_read_too() -> None:
    first, second = saved("nvidia-smi/table.txt")
    assert (first.model, first.memory_bytes, first.usage.memory_used_bytes) == ("H100 80GB HBM3", 81559 * MIB, 74210 * MIB)
    assert (first.usage.utilisation_frac, first.usage.power_limit_w, first.health.state) == (0.98, 700.0, HealthState.OK)
    assert (second.model, second.usage.utilisation_frac, second.health.state) == ("GeForce RTX 4090", 0.0, HealthState.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (QUERY[: QUERY.index("700.00 W, 3")], r"saved\.txt:3: a row has other columns than the header"),
        (QUERY.splitlines()[0], r"saved\.txt:1: the table ends after its header"),
        (
            QUERY[: QUERY.index(" W, 0\n")].replace(", ecc.errors.uncorrected.volatile.total", ""),
            r"saved\.txt:2: the row is cut off",
        ),
        (QUERY.replace("81559 MiB, 4", "81559 furlongs, 4"), r"saved\.txt:3: not a size of memory: memory.total"),
        (QUERY.replace("98 %", "198 %"), r"saved\.txt:2: not a percentage"),
        (QUERY.replace("index, ", "", 1), r"saved\.txt:1: there is no column 'index'"),
        ((FIXTURES / "nvidia-smi/query.xml").read_text()[:900], r"saved\.txt:\d+: the XML ends too early"),
        ((FIXTURES / "nvidia-smi/topo.txt").read_text(), "nvidia-smi -q -x"),
        ((FIXTURES / "nvidia-smi/query-log.txt").read_text().partition("    Power Readings")[0], "the last block is cut off"),
    ],
)
def test_a_damaged_output_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_text(text)


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
    assert [device.id for device in visible(saved("nvidia-smi/query.csv"), wanted)] == ids


@pytest.mark.parametrize(
    ("capability", "has_bf16", "generation"),
    [
        ("6.1", False, "Pascal"),
        ("7.5", False, "Turing"),
        ("8.6", True, "Ampere"),
        ("9.0", True, "Hopper"),
        ("12.0", True, "Blackwell"),
    ],
)
def test_an_unknown_architecture_has_its_predecessors_precisions(capability: str, has_bf16: bool, generation: str) -> None:
    assert ("bf16" in precisions_of(VENDOR, capability)) == has_bf16
    assert generation_of(capability) == generation


def test_the_tool_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat {FIXTURES / 'nvidia-smi/query.csv'}\n")
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
        NVML_TEMPERATURE_GPU=0,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(
            total=10**10 if isinstance(handle, str) else 8 * 10**10, used=2 * 10**10
        ),
        nvmlDeviceGetMinorNumber=lambda gpu: gpu + 2,
        nvmlDeviceGetSerial=lambda gpu: b"1652823000011" if gpu == 0 else refuse(),
        nvmlDeviceGetNumaNodeId=refuse,
        nvmlDeviceGetUtilizationRates=lambda gpu: SimpleNamespace(gpu=98, memory=12),
        nvmlDeviceGetTemperature=lambda gpu, sensor: 61,
        nvmlDeviceGetPowerUsage=lambda gpu: 652340 if gpu == 0 else refuse(),
        nvmlDeviceGetEnforcedPowerLimit=lambda gpu: 700000,
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
    first, second = read_nvml(VENDOR, make_nvml())
    assert first.links == (
        DeviceLink(to="cuda:1", kind="nvlink", count=2, bandwidth_bytes_per_s=50e9),
        DeviceLink(to="nvswitch", kind="nvlink", count=4, bandwidth_bytes_per_s=100e9),
    )
    assert [(item.id, item.profile) for item in first.partitions] == [("MIG-slice-0", "1g.10gb"), ("MIG-slice-1", "1g.10gb")]
    assert first.cores == (2, 3)
    assert (first.health.state, second.health.state) == (HealthState.OK, HealthState.UNKNOWN)
    assert second.partitions == ()


def test_nvml_gives_ids_and_usage() -> None:
    first, second = read_nvml(VENDOR, make_nvml())
    assert first.usage == DeviceUsage(
        utilisation_frac=0.98, memory_used_bytes=2 * 10**10, temperature_c=61.0, power_w=652.34, power_limit_w=700.0
    )
    assert first.address == DeviceAddress(
        pci_bus_id="0000:00:00.0",
        uuid="GPU-0",
        serial="1652823000011",
        device_files=("/dev/nvidia2",),
        cdi="nvidia.com/gpu=GPU-0",
    )
    assert (second.usage.power_w, second.address.serial) == (None, "")


def test_an_old_binding_loses_only_what_it_cannot_answer() -> None:
    nvml = make_nvml()
    del nvml.nvmlDeviceGetNvLinkRemoteDeviceType
    first, _ = read_nvml(VENDOR, nvml)
    assert sum(link.count for link in first.links) == 6
