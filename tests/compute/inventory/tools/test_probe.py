"""Probes run the tools: missing is normal, broken and hanging are troubles, and no vendor costs another its devices.

The tools are scripts that print the fixtures, so this shows what our side does, not that a vendor's tool prints the same.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.compute.inventory import (
    VENDORS,
    Inventory,
    Vendor,
    cambricon,
    cpu,
    huawei,
    intel,
    kunlunxin,
    nvidia,
    take_inventory,
)
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.core.devices import Proximity
from bedplate.core.errors import UnavailableError
from tests.compute.inventory.saved_outputs import FIXTURES


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    return tmp_path


def install(folder: Path, tool: str, answers: dict[str, str], otherwise: str = "echo unknown option >&2; exit 2") -> None:
    """A tool that prints a fixture for some arguments, as a shell pattern, and else does something else."""
    cases = "\n".join(f"  {pattern!r}) cat {FIXTURES / name};;" for pattern, name in answers.items())
    script = folder / tool
    script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n  *) {otherwise};;\nesac\n')
    script.chmod(0o755)


def alone(*vendors: Vendor) -> Inventory:
    """The inventory of these vendors."""
    return take_inventory(vendors)


NPU_SMI = {"info": "npu-smi/info-910b.txt", "info -m": "npu-smi/mapping-910b.txt", "info -t topo": "npu-smi/topo-910b.txt"}


def test_the_probe_runs_the_commands_and_hands_their_texts_to_the_reader(tools: Path) -> None:
    install(tools, "npu-smi", NPU_SMI)
    found = alone(huawei.VENDOR)
    assert found.troubles == ()
    assert [device.id for device in found.devices] == ["npu:0", "npu:1", "npu:2", "npu:3"]
    assert found.devices[0].distances["npu:1"] is Proximity.LINK
    assert found.devices[0].visibility is not None
    assert (found.devices[0].visibility.variable, found.devices[0].visibility.word) == ("ASCEND_RT_VISIBLE_DEVICES", "0")


def test_an_older_tool_without_some_commands_is_normal(tools: Path) -> None:
    install(tools, "npu-smi", {"info": "npu-smi/info-910b.txt"})
    found = alone(huawei.VENDOR)
    assert (len(found.devices), found.troubles) == (4, ())


def test_several_kinds_in_one_node_work_together(tools: Path) -> None:
    install(tools, "npu-smi", NPU_SMI)
    install(tools, "amd-smi", {"static --json": "amd-smi/static.json", "metric --json": "amd-smi/metric.json"})
    install(tools, "mthreads-gmi", {"-q --json": "mthreads-gmi/query.json"})
    found = take_inventory(VENDORS)
    kinds = [device.vendor for device in found.devices if device.kind != "cpu"]
    assert kinds == ["amd"] * 2 + ["huawei"] * 4 + ["moore-threads"] * 2
    assert next(device.kind for device in found.devices) == "cpu"
    assert len({device.id for device in found.devices}) == len(found.devices)


def test_a_tool_that_cannot_reach_its_driver_is_a_trouble_with_its_own_words(tools: Path) -> None:
    install(tools, "npu-smi", {}, otherwise="echo 'dcmi module initialize failed. ret is -8005'; exit 5")
    found = alone(cpu.VENDOR, huawei.VENDOR)
    assert [device.kind for device in found.devices] == ["cpu"]
    assert [(trouble.probe, trouble.kind) for trouble in found.troubles] == [("huawei", "broken")]
    assert "dcmi module initialize failed" in found.troubles[0].message


def test_an_output_that_is_cut_off_is_a_trouble_with_its_line(tools: Path) -> None:
    install(tools, "npu-smi", {}, otherwise=f"head -7 {FIXTURES / 'npu-smi/info-910b.txt'}")
    (trouble,) = alone(huawei.VENDOR).troubles
    assert "npu-smi info:7: the table ends before the second row of a chip" in trouble.message


def test_a_command_that_hangs_is_cut_off_and_costs_only_its_own_facts(tools: Path) -> None:
    install(tools, "npu-smi", {"info": "npu-smi/info-910b.txt"}, otherwise="exec sleep 600")
    probe = ToolProbe(huawei.VENDOR, limit_s=1.0)
    began_s = time.monotonic()
    assert len(probe.devices()) == 4
    assert time.monotonic() - began_s < 6
    assert [kind for kind, _ in probe.troubles] == ["hung", "hung"]
    assert "npu-smi info -m hangs" in probe.troubles[0][1]


def test_a_tool_that_hangs_altogether_is_killed_with_its_probe(tools: Path) -> None:
    mark = tools / "pid"
    install(tools, "npu-smi", {}, otherwise=f"echo $$ >> {mark}; exec sleep 600")
    began_s = time.monotonic()
    (trouble,) = take_inventory((huawei.VENDOR,), timeout_s=2.0).troubles
    assert time.monotonic() - began_s < 8
    assert trouble.kind == "hung"
    for pid in map(int, mark.read_text().split()):
        assert is_gone(pid), f"{pid} outlived its probe"


def is_gone(pid: int) -> bool:
    """Whether a process ended, or soon does."""
    for _ in range(50):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_broken_first_tool_is_reported_and_the_second_one_believed(tools: Path) -> None:
    from bedplate.compute.inventory import amd

    install(tools, "amd-smi", {}, otherwise="echo 'ImportError: libamd_smi.so' >&2; exit 1")
    install(tools, "rocm-smi", {}, otherwise=f"cat {FIXTURES / 'rocm-smi/cards.json'}")
    found = alone(amd.VENDOR)
    assert [device.model for device in found.devices] == ["Instinct MI210", "Radeon RX 7900 XTX"]
    assert [(trouble.probe, trouble.kind) for trouble in found.troubles] == [("amd", "broken")]
    assert "libamd_smi.so" in found.troubles[0].message


def test_a_rocm_smi_that_shows_hygon_cards_is_no_trouble_of_amd(tools: Path) -> None:
    from bedplate.compute.inventory import amd, hygon

    install(tools, "rocm-smi", {}, otherwise=f"cat {FIXTURES / 'hy-smi/cards.json'}")
    install(tools, "hy-smi", {}, otherwise=f"cat {FIXTURES / 'hy-smi/cards.json'}")
    found = alone(amd.VENDOR, hygon.VENDOR)
    assert ([device.vendor for device in found.devices], found.troubles) == (["hygon"], ())


KUNLUNXIN = {
    "-q": "xpu-smi-kunlunxin/query.txt",
    "-m": "xpu-smi-kunlunxin/machine.txt",
    "topo -m": "xpu-smi-kunlunxin/topo.txt",
}
INTEL = {
    "discovery -j": "xpu-smi-intel/discovery.json",
    "discovery -d 0 -j": "xpu-smi-intel/discovery-0.json",
    "stats -d 0 -j": "xpu-smi-intel/stats-0.json",
}


@pytest.mark.parametrize(("answers", "vendor", "count"), [(KUNLUNXIN, "kunlunxin", 2), (INTEL, "intel", 1)])
def test_whose_xpu_smi_it_is_shows_in_what_it_prints(tools: Path, answers: dict[str, str], vendor: str, count: int) -> None:
    install(tools, "xpu-smi", answers)
    found = alone(intel.VENDOR, kunlunxin.VENDOR)
    assert [device.vendor for device in found.devices] == [vendor] * count
    assert found.troubles == ()


def test_an_xpu_smi_that_nobody_can_read_is_a_trouble(tools: Path) -> None:
    install(tools, "xpu-smi", {})
    assert {trouble.probe for trouble in alone(intel.VENDOR, kunlunxin.VENDOR).troubles} == {"intel", "kunlunxin"}


def test_a_command_that_writes_a_file_is_read_from_there_and_leaves_nothing(tools: Path) -> None:
    written = f'case "$*" in *-j) cp {FIXTURES / "cnmon/cnmon_info.json"} .;; *) cat {FIXTURES / "cnmon/table.txt"};; esac'
    install(tools, "cnmon", {}, otherwise=written)
    before = set(Path.cwd().iterdir())
    first, _ = alone(cambricon.VENDOR).devices
    assert (first.address.serial, first.usage.power_w) == ("432112008721", 126.0)
    assert set(Path.cwd().iterdir()) == before


def test_a_tool_beside_its_path_is_found(tmp_path: Path) -> None:
    install(tmp_path, "npu-smi", NPU_SMI)
    (reader,) = huawei.VENDOR.readers
    hidden = replace(reader, tool="npu-smi-that-is-not-on-path", other_paths=(str(tmp_path / "npu-smi"),))
    probe = ToolProbe(replace(huawei.VENDOR, readers=(hidden,)))
    assert probe.is_present()
    assert len(probe.devices()) == 4


def test_a_tool_that_cannot_be_started_is_an_error_with_its_reason(tools: Path) -> None:
    (tools / "npu-smi").write_text("#!/no/such/shell\n")
    (tools / "npu-smi").chmod(0o755)
    with pytest.raises(UnavailableError, match="npu-smi gives no list of devices"):
        ToolProbe(huawei.VENDOR).devices()


def test_without_a_tool_there_is_nothing_to_ask() -> None:
    probe = ToolProbe(replace(nvidia.VENDOR, readers=()))
    assert not probe.is_present()
    assert probe.devices() == ()
