"""amd-smi, rocm-smi and sysfs."""

from pathlib import Path

import pytest

from bedplate.compute.inventory.amd import VENDOR
from bedplate.compute.inventory.amd.sysfs import read_sysfs
from bedplate.core.devices import DeviceLink, DevicePartition, HealthState, Proximity
from bedplate.core.errors import ConfigurationError
from tests.compute.inventory.saved_outputs import FIXTURES, read_text, saved

MIB = 2**20
ALL = ("static", "metric", "list", "topology")


def test_four_documents_of_amd_smi_are_joined_by_the_number_of_the_gpu() -> None:
    first, second = saved(*(f"amd-smi/{name}.json" for name in ALL))
    assert (first.id, first.model, first.generation) == ("hip:0", "Instinct MI300X", "gfx942")
    assert first.memory_bytes == 196592 * MIB
    assert (first.usage.utilisation_frac, first.usage.temperature_c, first.usage.power_w) == (0.87, 71.0, 542.0)
    assert (first.usage.memory_used_bytes, first.usage.power_limit_w) == (121344 * MIB, 750.0)
    assert (first.address.uuid, first.address.serial) == ("7eff74a0-0000-1000-808f-7e20764e2714", "692352000101")
    assert (first.address.pci_bus_id, first.address.numa_node) == ("0000:05:00.0", 0)
    assert first.links == (DeviceLink(to="hip:1", kind="xgmi", bandwidth_bytes_per_s=100e9),)
    assert first.distances == {"hip:1": Proximity.LINK}
    # N/A, a sensor that is missing, a node of -1: absent, never 0.
    assert (second.usage.utilisation_frac, second.usage.temperature_c) == (None, 38.0)
    assert (second.address.serial, second.address.numa_node) == ("", None)


def test_uncorrectable_errors_are_health_with_the_vendors_code() -> None:
    first, second = saved("amd-smi/static.json", "amd-smi/metric.json")
    assert first.health.state is HealthState.OK
    assert (second.health.state, second.health.codes) == (HealthState.FAILED, ("RAS UE", "RAS deferred"))
    assert saved("amd-smi/static.json")[0].health.state is HealthState.UNKNOWN


def test_a_gpu_cut_in_parts_says_so() -> None:
    text = (FIXTURES / "amd-smi/static.json").read_text().replace('"SPX"', '"CPX"')
    assert read_text(text)[0].partitions == (DevicePartition(id="0", profile="CPX", memory_bytes=196592 * MIB, kind="compute"),)


def test_a_list_alone_names_the_command_to_add() -> None:
    with pytest.raises(ConfigurationError, match="amd-smi static --json"):
        saved("amd-smi/list.json")


def test_rocm_smi_cards_are_sorted_and_have_the_unit_in_the_key() -> None:
    first, second = saved("rocm-smi/cards.json")
    assert (first.id, first.model, first.memory_bytes) == ("hip:0", "Instinct MI210", 68702699520)
    assert (first.usage.temperature_c, first.usage.power_w, first.usage.utilisation_frac) == (35.0, 41.0, None)
    assert (second.usage.power_w, second.usage.power_limit_w) == (22.0, 303.0)
    assert (second.address.numa_node, first.address.numa_node) == (1, None)


def test_a_document_that_is_cut_off_is_refused_with_its_line() -> None:
    text = (FIXTURES / "amd-smi/static.json").read_text()
    with pytest.raises(ConfigurationError, match=r"saved\.txt:22: the JSON ends too early"):
        read_text("\n".join(text.splitlines()[:22]))


def test_sysfs_serves_where_there_is_no_tool(tmp_path: Path) -> None:
    files = {
        "mem_info_vram_total": "68702699520",
        "mem_info_vram_used": "10960896",
        "gpu_busy_percent": "42",
        "numa_node": "1",
        "product_name": "AMD Instinct MI210",
        "unique_id": "8c1a003344556677",
        "hwmon/hwmon3/power1_average": "41000000",
        "hwmon/hwmon3/power1_cap": "300000000",
        "hwmon/hwmon3/temp1_input": "35000",
        "drm/renderD129/dev": "226:129",
    }
    device = tmp_path / "sys/devices/pci0000:c0/0000:c3:00.0"
    for name, text in files.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(text + "\n")
    (tmp_path / "sys/drivers/amdgpu").mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "sys/drivers/amdgpu")
    card = tmp_path / "sys/class/drm/card1"
    card.mkdir(parents=True)
    (card / "device").symlink_to(device)
    (found,) = read_sysfs(VENDOR, tmp_path)
    assert (found.id, found.model, found.memory_bytes) == ("hip:0", "Instinct MI210", 68702699520)
    assert (found.usage.utilisation_frac, found.usage.power_w, found.usage.power_limit_w) == (0.42, 41.0, 300.0)
    assert (found.usage.temperature_c, found.address.numa_node) == (35.0, 1)
    assert (found.address.pci_bus_id, found.address.device_files) == ("0000:c3:00.0", ("/dev/dri/renderD129",))


def test_a_machine_without_such_devices_has_none_in_sysfs(tmp_path: Path) -> None:
    assert read_sysfs(VENDOR, tmp_path) == ()
