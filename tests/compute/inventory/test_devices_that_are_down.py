"""A device that does not answer is listed as such, and never hides the others.

The words and lines are those of public reports (see `docs/log/2026-11-25-compute-reports.md`).
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bedplate.compute.inventory import huawei, nvidia, take_inventory
from bedplate.compute.inventory.nvidia import visible
from bedplate.compute.inventory.nvidia.nvml import read_nvml
from bedplate.core.devices import Device, DevicePartition, HealthState
from bedplate.core.errors import ConfigurationError, UnavailableError
from tests.compute.inventory.saved_outputs import read_text

MIB = 2**20
HEAD = "index, uuid, name, memory.total [MiB], memory.used [MiB], utilization.gpu [%]\n"
GOOD = "0, GPU-1, NVIDIA H100, 81559 MiB, 0 MiB, 0 %\n"


@pytest.mark.parametrize("word", ["[GPU is lost]", "[GPU requires reset]", "ERR!"])
def test_a_row_of_words_is_a_failed_gpu(word: str) -> None:
    first, second = read_text(HEAD + GOOD + "1, " + ", ".join([word] * 5) + "\n")
    assert (first.id, first.memory_bytes) == ("cuda:0", 81559 * MIB)
    assert (second.id, second.health.state, second.health.codes) == ("cuda:1", HealthState.FAILED, (word.strip("[]"),))


@pytest.mark.parametrize("word", ["[N/A]", "[Insufficient Permissions]", "Requested functionality has been deprecated"])
def test_a_word_for_nothing_is_no_fault(word: str) -> None:
    (device,) = read_text(HEAD + f"0, GPU-1, NVIDIA GB10, {word}, {word}, {word}\n")
    assert (device.model, device.memory_bytes, device.health.state) == ("GB10", 0, HealthState.UNKNOWN)
    assert device.health.findings == ("it does not say how much memory it has",)


@pytest.mark.parametrize("is_before", [True, False])
def test_a_line_about_a_lost_gpu_is_a_failed_gpu(is_before: bool) -> None:
    line = "Unable to determine the device handle for GPU0000:BA:00.0: Unknown Error\n"
    good, lost = read_text(line + HEAD + GOOD if is_before else HEAD + GOOD + line)
    assert (good.id, lost.id) == ("cuda:0", "cuda:0000:ba:00.0")
    assert (lost.health.state, lost.visibility) == (HealthState.FAILED, None)


def test_two_gpus_of_one_index_are_refused_with_the_line() -> None:
    with pytest.raises(ConfigurationError, match="two GPUs have the index 0") as refused:
        read_text(HEAD + GOOD + GOOD.replace("GPU-1", "GPU-2"))
    assert "saved.txt:3" in str(refused.value)


def test_the_xml_lists_a_lost_gpu_and_one_that_waits_for_a_reset() -> None:
    def gpu(name: str, more: str = "") -> str:
        memory = f"<fb_memory_usage><total>{name if 'lost' in name else '81920 MiB'}</total></fb_memory_usage>"
        return f"<gpu><product_name>{name}</product_name>{memory}{more}</gpu>"

    text = gpu("NVIDIA A100") + gpu("GPU is lost") + gpu("NVIDIA A100", "<gpu_recovery_action>Reset</gpu_recovery_action>")
    good, lost, waiting = read_text(f"<nvidia_smi_log>{text}</nvidia_smi_log>")
    assert good.health.state is HealthState.UNKNOWN
    assert (lost.model, lost.memory_bytes, lost.health.state) == ("unknown", 0, HealthState.FAILED)
    assert (waiting.health.state, waiting.health.codes) == (HealthState.FAILED, ("Recovery Action Reset",))


TABLE = """\
| NVIDIA-SMI 580.126.09             Driver Version: 580.126.09     CUDA Version: 13.0     |
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
|=========================================+========================+======================|
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
| N/A   36C    P8              3W /  N/A  | Not Supported          |      0%      Default |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA RTX 4000                On  |   00000000:CC:00.0 Off |                  Off |
|ERR!   68C    P2             99W /  130W |       1MiB /  20475MiB |     93%      Default |
+-----------------------------------------+------------------------+----------------------+
|   2  NVIDIA A100-SXM4-80GB          On  |   00000000:07:00.0 Off |                   On |
| N/A   30C    P0             64W /  400W |      N/A / 81920MiB    |     N/A      Default |
+-----------------------------------------+------------------------+----------------------+
| MIG devices:                                                                            |
|  2    1   0   0  |              37MiB / 40192MiB    | 42      0 |  3   0    2    0    0 |
+------------------+----------------------------------+-----------+-----------------------+
"""


def test_the_table_says_of_each_gpu_what_it_can() -> None:
    shared, broken, sliced = read_text(TABLE)
    assert (shared.memory_bytes, shared.health.state, shared.usage.power_w) == (0, HealthState.UNKNOWN, 3.0)
    assert (broken.memory_bytes, broken.health.state) == (20475 * MIB, HealthState.FAILED)
    assert (sliced.memory_bytes, sliced.usage.memory_used_bytes) == (81920 * MIB, None)


def test_a_gpu_of_amd_without_memory_does_not_hide_the_others() -> None:
    def gpu(index: int, vram: object) -> dict[str, object]:
        return {"gpu": index, "asic": {"market_name": "AMD Instinct MI300X"}, "vram": vram}

    good = {"size": {"value": 196592, "unit": "MB"}}
    integrated, other = read_text(json.dumps([gpu(0, "N/A"), gpu(1, good)]))
    assert (integrated.memory_bytes, other.memory_bytes) == (0, 196592 * MIB)
    with pytest.raises(ConfigurationError, match="no device says how much memory it has"):
        read_text(json.dumps([gpu(0, "N/A")]))


def test_a_card_of_rocm_smi_without_memory_does_not_hide_the_others() -> None:
    good = {"Card Series": "AMD INSTINCT MI300X", "VRAM Total Memory (B)": "206141652992"}
    first, second = read_text(json.dumps({"card0": good, "card1": {**good, "VRAM Total Memory (B)": "N/A"}}))
    assert (first.memory_bytes, second.memory_bytes) == (206141652992, 0)


def test_a_chip_that_is_offline_is_failed() -> None:
    text = """\
+--------------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc2                                 Version: 24.1.rc2                                     |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 1       310P3                 | OK              | NA           59                0     / 0             |
| 0       0                     | 0000:01:00.0    | 0            1397 / 44280                            |
+===============================+=================+======================================================+
| 2       310P3                 | Offline         | NA           NA                NA    / NA            |
| 0       1                     | 0000:02:00.0    | NA           NA   / NA                               |
+===============================+=================+======================================================+
"""
    good, offline = read_text(text)
    assert (good.health.state, offline.health.state) == (HealthState.OK, HealthState.FAILED)


class _NvmlError(Exception):
    pass


def _nvml(lost: int) -> Any:
    """A binding with three GPUs: one is lost, one shares the host's memory."""

    def handle(index: int) -> int:
        if index == lost:
            raise _NvmlError
        return index

    def memory(index: int) -> SimpleNamespace:
        if index == 0:
            raise _NvmlError
        return SimpleNamespace(total=80 * 2**30, used=0)

    return SimpleNamespace(
        NVMLError=_NvmlError,
        NVML_NVLINK_MAX_LINKS=0,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetPciInfo=lambda index: SimpleNamespace(busId=f"00000000:0{index}:00.0"),
        nvmlDeviceGetName=lambda index: "NVIDIA GB10" if index == 0 else "NVIDIA H100",
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}",
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetCudaComputeCapability=lambda index: (9, 0),
    )


def test_nvml_lists_the_others_when_one_is_lost_and_one_shares_the_hosts_memory() -> None:
    shared, lost, good = read_nvml(nvidia.VENDOR, _nvml(lost=1))
    assert (shared.model, shared.memory_bytes, shared.health.state) == ("GB10", 0, HealthState.UNKNOWN)
    assert (lost.id, lost.health.state) == ("cuda:1", HealthState.FAILED)
    assert (good.id, good.memory_bytes) == ("cuda:2", 80 * 2**30)


def test_a_gpu_that_is_named_twice_shows_none_and_a_slice_shows_its_gpu() -> None:
    devices = read_text(HEAD + GOOD + GOOD.replace("0, GPU-1", "1, GPU-2"))
    assert visible(devices, "0,1,0") == ()
    slice_ = DevicePartition(id="MIG-30d0", profile="3g.40gb", memory_bytes=40 * 2**30)
    (shown,) = visible((devices[0], replace(devices[1], partitions=(slice_,))), "MIG-30d0")
    assert (shown.id, shown.memory_bytes, shown.visibility and shown.visibility.word) == ("cuda:1", 40 * 2**30, "MIG-30d0")


def test_a_tool_leaves_no_children_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids, script = tmp_path / "pids", tmp_path / "npu-smi"
    script.write_text(f"#!/bin/sh\nsleep 60 >/dev/null 2>&1 &\necho $! >> {pids}\necho dcmi is not there; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert take_inventory((huawei.VENDOR,)).troubles
    stats = [Path(f"/proc/{pid}/stat") for pid in pids.read_text().split()]
    assert stats
    until_s = time.monotonic() + 5.0
    while any(map(_runs, stats)) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert not any(map(_runs, stats))


def _runs(stat: Path) -> bool:
    """Whether a process is there, and no zombie that nobody waited for."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class HungTool:
    """A probe all of whose commands hung."""

    troubles = (("hung", "npu-smi info hangs: no answer within 7 s"),)

    def is_present(self) -> bool:
        return True

    def devices(self) -> tuple[Device, ...]:
        raise UnavailableError("npu-smi gives no list of devices")


def test_a_probe_whose_commands_all_hung_is_hung_and_not_broken() -> None:
    vendor = replace(huawei.VENDOR, probe=f"{__name__}:HungTool", device_files=("proc/cpuinfo",))
    (trouble,) = take_inventory((vendor,)).troubles
    assert (trouble.kind, trouble.message) == HungTool.troubles[0]
