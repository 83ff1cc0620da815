"""Hygon, Cambricon, MetaX, Moore Threads, Iluvatar, Kunlunxin, Intel: tools that print JSON of their own, tables or queries."""

import pytest

from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.saved import read_saved
from bedplate.core.devices import DeviceLink, HealthState, Proximity
from bedplate.core.errors import ConfigurationError
from tests.compute.inventory.saved_outputs import FIXTURES, output_of, saved

MIB = 2**20


def test_hygon_cards_have_their_own_keys() -> None:
    (device,) = saved("hy-smi/cards.json", tool="hy-smi")
    assert (device.id, device.vendor, device.model) == ("dcu:0", "hygon", "K100_AI")
    assert (device.memory_bytes, device.usage.memory_used_bytes) == (65520 * MIB, 33610 * MIB)
    assert (device.usage.utilisation_frac, device.usage.temperature_c) == (0.64, 49.0)
    assert (device.usage.power_w, device.usage.power_limit_w, device.address.pci_bus_id) == (118.0, 350.0, "0000:1a:00.0")


def test_commas_that_hy_smi_forgets_are_forgiven() -> None:
    first, second = saved("hy-smi/cards-commas-forgotten.json")
    assert (first.usage.utilisation_frac, first.usage.power_w, first.usage.memory_used_bytes) == (0.12, 91.0, 64169 * MIB)
    assert second.usage.memory_used_bytes == 2 * MIB


def test_cambricon_json_and_table_complete_each_other() -> None:
    first, second = saved("cnmon/cnmon_info.json", "cnmon/table.txt")
    assert (first.id, first.kind, first.model, first.memory_bytes) == ("mlu:0", "npu", "MLU370-X8", 23374 * MIB)
    assert (first.address.pci_bus_id, first.address.serial) == ("0000:39:00.0", "432112008721")
    assert (first.usage.utilisation_frac, first.usage.temperature_c) == (0.73, 41.0)
    assert (first.usage.power_w, first.usage.power_limit_w) == (126.0, 250.0)
    assert (first.health.state, second.health.state) == (HealthState.UNKNOWN, HealthState.DEGRADED)
    assert second.usage.temperature_c is None  # the JSON says N/A, and it is asked first


def test_cambricon_table_alone_is_enough() -> None:
    first, second = saved("cnmon/table.txt", tool="cnmon")
    assert (first.model, first.usage.utilisation_frac, second.usage.temperature_c) == ("MLU370-X8", 0.73, 33.0)


def test_an_older_cambricon_table_has_no_bus_ids() -> None:
    (device,) = saved("cnmon/table-4.txt")
    assert (device.model, device.memory_bytes, device.address.pci_bus_id) == ("MLU370-X4", 23308 * MIB, "")
    assert (device.usage.power_w, device.usage.utilisation_frac, device.health.state) == (30.0, 0.05, HealthState.UNKNOWN)


@pytest.mark.parametrize(
    ("name", "model", "busy", "limit_w", "states"),
    [
        ("table-2.1", "MXC550", 0.17, None, [HealthState.UNKNOWN, HealthState.UNKNOWN]),
        ("table-2.2", "C500", 0.42, 350.0, [HealthState.OK, HealthState.FAILED]),
    ],
)
def test_both_layouts_of_the_metax_table(
    name: str, model: str, busy: float, limit_w: float | None, states: list[HealthState]
) -> None:
    devices = saved(f"mx-smi/{name}.txt")
    first = devices[0]
    assert (first.id, first.model, first.memory_bytes) == ("maca:0", model, 65536 * MIB)
    assert (first.usage.utilisation_frac, first.usage.power_limit_w) == (busy, limit_w)
    assert [device.health.state for device in devices] == states


def test_metax_list_and_matrix_add_uuids_reasons_links_and_nodes() -> None:
    first, second = saved("mx-smi/table-2.2.txt", "mx-smi/list.txt", "mx-smi/topo.txt")
    assert first.address.uuid == "GPU-e702f06b-bbd6-bc06-5196-90a5554a24ba"
    assert second.health.findings[-1] == "MetaX Sysfs File Unaccessible"
    assert first.links == (DeviceLink(to="maca:1", kind="metaxlink"),)
    assert (first.address.numa_node, first.cores) == (0, (0, 1, 4, 5))
    assert first.distances == {"maca:1": Proximity.LINK}


def test_metax_details_do_without_the_table() -> None:
    first, _ = saved("mx-smi/show.txt")
    assert (first.memory_bytes, first.usage.memory_used_bytes) == (67108864 * 1024, 846264 * 1024)
    assert (first.usage.temperature_c, first.usage.utilisation_frac, first.usage.power_w) == (39.25, 0.07, 61.5)


def test_moore_threads_units_touch_their_numbers() -> None:
    first, second = saved("mthreads-gmi/query.json", tool="mthreads-gmi")
    assert (first.id, first.model, first.memory_bytes) == ("musa:0", "MTT S5000", 81920 * MIB)
    assert (first.usage.utilisation_frac, first.usage.temperature_c, first.usage.power_w) == (0.75, 42.0, 400.5)
    assert (first.usage.power_limit_w, first.address.pci_bus_id) == (950.0, "0000:2a:00.0")
    assert (second.memory_bytes, second.address.pci_bus_id) == (48 * 2**30, "0000:3a:00.0")
    assert (second.usage.power_limit_w, second.address.serial) == (None, "")


def test_iluvatar_query_and_table() -> None:
    first, second = saved("ixsmi/query.csv")
    assert (first.id, first.vendor, first.model) == ("corex:0", "iluvatar", "BI-V150")
    assert (first.memory_bytes, first.usage.power_w, first.usage.power_limit_w) == (32768 * MIB, 96.0, 350.0)
    assert (second.usage.power_w, second.address.serial, second.address.device_files) == (None, "", ("/dev/iluvatar1",))
    (boxed,) = saved("ixsmi/table.txt")
    assert (boxed.model, boxed.usage.utilisation_frac, boxed.usage.temperature_c) == ("BI-V150", 0.03, 44.0)


def test_kunlunxin_query_with_links() -> None:
    first, second = saved("xpu-smi-kunlunxin/query.txt", "xpu-smi-kunlunxin/topo.txt", tool="xpu-smi")
    assert (first.id, first.vendor, first.model, first.generation) == ("kunlun:0", "kunlunxin", "P800 PCIe", "KL3")
    assert (first.memory_bytes, first.usage.memory_used_bytes) == (98304 * MIB, 90440 * MIB)
    assert (first.usage.utilisation_frac, first.usage.power_w, first.usage.power_limit_w) == (0.88, 276.0, 350.0)
    assert (first.health.state, second.health.state) == (HealthState.OK, HealthState.FAILED)
    assert (second.usage.utilisation_frac, second.usage.power_limit_w, second.address.serial) == (None, None, "")
    assert first.links == (DeviceLink(to="kunlun:1", kind="xpulink", count=2),)
    assert (second.address.numa_node, second.cores) == (1, (4, 5, 6, 7))


def test_kunlunxin_machine_line_has_memory_and_not_the_l3() -> None:
    first, _ = saved("xpu-smi-kunlunxin/machine.txt")
    assert (first.memory_bytes, first.usage.memory_used_bytes) == (98304 * MIB, 90440 * MIB)
    assert first.usage.power_w is None  # in W for one model and in mW for another
    (boxed,) = saved("xpu-smi-kunlunxin/table.txt")
    assert (boxed.model, boxed.usage.power_w, boxed.memory_bytes) == ("P800 OAM", 87.0, 98304 * MIB)


@pytest.mark.parametrize(("stats", "state"), [("stats-0", HealthState.OK), ("stats-0-bytes", HealthState.FAILED)])
def test_intel_memory_in_use_is_in_mib_or_bytes_by_release(stats: str, state: HealthState) -> None:
    names = ("discovery", "discovery-0", stats)
    (device,) = saved(*(f"xpu-smi-intel/{name}.json" for name in names), tool="xpu-smi")
    assert (device.id, device.vendor, device.model) == ("xpu:0", "intel", "Data Center GPU Max 1100")
    assert (device.memory_bytes, device.usage.memory_used_bytes) == (51539607552, 8 * 2**30)
    assert (device.health.state, device.address.device_files) == (state, ("/dev/dri/card1",))


def test_intel_virtual_functions_are_no_devices_of_their_own() -> None:
    assert len(saved("xpu-smi-intel/discovery.json", "xpu-smi-intel/discovery-0.json")) == 1


@pytest.mark.parametrize(
    ("name", "cut_at", "words"),
    [
        ("cnmon/cnmon_info.json", '"Temperature"', "the JSON ends too early"),
        ("cnmon/table.txt", "5120 MiB", "the table is cut off"),
        ("mx-smi/table-2.2.txt", "| 157W", "the table ends before the second row of device 0"),
        ("mx-smi/topo.txt", "GPU1    MX", "the matrix ends before the row of GPU1"),
        ("mthreads-gmi/query.json", '"Utilization"', "the JSON ends too early"),
        ("ixsmi/query.csv", " 96 W", "a row has other columns than the header"),
        ("xpu-smi-kunlunxin/query.txt", "    ECC Errors", "the last block is cut off"),
        ("xpu-smi-kunlunxin/machine.txt", " 90440", "not a line of xpu-smi -m"),
        ("xpu-smi-intel/discovery-0.json", '"pci_bdf', "the JSON ends too early"),
        ("hy-smi/cards.json", '"DCU memory', "the JSON ends too early"),
    ],
)
def test_an_output_that_is_cut_off_is_refused_with_its_line(name: str, cut_at: str, words: str) -> None:
    text = (FIXTURES / name).read_text()
    beside = [output_of("mx-smi/table-2.2.txt")] if "topo" in name else []
    cut_off = ToolOutput(text=text[: text.index(cut_at)], source="saved.txt")
    with pytest.raises(ConfigurationError, match=words) as refused:
        read_saved([*beside, cut_off])
    assert refused.value.where is not None and refused.value.where.startswith("saved.txt:")
