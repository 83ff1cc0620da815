"""npu-smi: every layout becomes the same record."""

import pytest

from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.saved import read_saved
from bedplate.core.devices import DeviceLink, DevicePartition, HealthState, Proximity
from bedplate.core.errors import ConfigurationError
from tests.compute.inventory.saved_outputs import FIXTURES, output_of, read_text, saved

MIB = 2**20
TABLE = (FIXTURES / "npu-smi/info-910b.txt").read_text()


def test_the_table_gives_memory_usage_temperature_and_power() -> None:
    first, second, third, fourth = saved("npu-smi/info-910b.txt")
    assert (first.id, first.kind, first.vendor, first.model) == ("npu:0", "npu", "huawei", "Ascend 910B3")
    assert (first.generation, first.memory_bytes) == ("Ascend 910B", 65536 * MIB)
    assert first.usage.memory_used_bytes == 3361 * MIB
    assert (first.usage.utilisation_frac, first.usage.temperature_c, first.usage.power_w) == (0.12, 38.0, 91.5)
    assert first.address.pci_bus_id == "0000:c1:00.0"
    # The used memory touches the slash, with and without a blank after it.
    assert second.usage.memory_used_bytes == third.usage.memory_used_bytes == 59356 * MIB
    assert (fourth.usage.power_w, fourth.usage.temperature_c) == (None, None)


def test_health_words_are_states_with_the_vendors_code() -> None:
    devices = saved("npu-smi/info-910b.txt")
    states = [HealthState.OK, HealthState.DEGRADED, HealthState.FAILED, HealthState.FAILED]
    assert [device.health.state for device in devices] == states
    assert [device.health.codes for device in devices] == [(), ("Warning",), ("Alarm",), ("Critical",)]
    assert "reset" in devices[2].health.findings[0]


def test_a_health_word_nobody_knows_is_shown_and_not_taken_for_well() -> None:
    (first, *_) = read_text(TABLE.replace("| OK            |", "| Sleepy        |"))
    assert first.health.state is HealthState.UNKNOWN
    assert first.health.codes == ("Sleepy",)


def test_an_offline_npu_is_unknown() -> None:
    (first, *_) = read_text(TABLE.replace("| OK            |", "| NA            |"))
    assert (first.health.state, first.health.codes) == (HealthState.UNKNOWN, ("UNKNOWN",))


def test_mapping_and_topology_add_files_links_distances_and_near_cores() -> None:
    devices = saved("npu-smi/topo-910b.txt", "npu-smi/info-910b.txt", "npu-smi/mapping-910b.txt", tool="npu-smi")
    first = devices[0]
    assert first.address.device_files == ("/dev/davinci0",)
    assert first.links == (DeviceLink(to="npu:1", kind="hccs"), DeviceLink(to="npu:2", kind="hccs"))
    assert first.distances == {"npu:1": Proximity.LINK, "npu:2": Proximity.LINK, "npu:3": Proximity.PCIE_SWITCH}
    assert devices[1].distances["npu:3"] is Proximity.SYSTEM
    assert first.cores == tuple(range(144, 168))
    assert devices[3].cores == tuple(range(24))


def test_details_of_a_card_win_over_the_table() -> None:
    names = ("info", "usages", "temp", "power", "health")
    first, second, *_ = saved(*(f"npu-smi/{name}-910b.txt" for name in names))
    assert (first.usage.utilisation_frac, first.usage.temperature_c, first.usage.power_w) == (0.55, 44.0, 103.5)
    assert first.usage.memory_used_bytes == 3361 * MIB  # the table's is exact, the rate is rounded
    assert first.health.codes == ("Alarm", "80E18402")
    assert first.health.state is HealthState.FAILED
    assert second.usage.utilisation_frac == 0.97


def test_values_of_a_controller_are_not_those_of_the_chip() -> None:
    (device,) = saved("npu-smi/info-310-old.txt", "npu-smi/common-310.txt")
    assert (device.usage.temperature_c, device.usage.utilisation_frac) == (61.0, 0.33)
    assert device.usage.power_w == 12.8  # the table's; 42.8 W is of the card's controller


def test_virtual_npus_are_partitions_of_the_chip_whose_numbers_they_have() -> None:
    first, second = saved("npu-smi/info-310p.txt", "npu-smi/vnpu-310p.txt")
    assert first.partitions == ()
    assert second.partitions == (
        DevicePartition(id="116", profile="vir02", memory_bytes=0, kind="vnpu"),
        DevicePartition(id="117", profile="vir04_3c_16g", memory_bytes=16 * 2**30, kind="vnpu"),
    )


def test_a_list_of_virtual_npus_that_is_cut_off_is_refused_with_its_line() -> None:
    text = output_of("npu-smi/vnpu-310p.txt").text.partition("|  117")[0]
    with pytest.raises(ConfigurationError, match=r"vnpu\.txt:13: the list of virtual NPUs is cut off"):
        read_saved([output_of("npu-smi/info-310p.txt"), ToolOutput(text=text, source="vnpu.txt")])
    with pytest.raises(ConfigurationError, match="no NPU has the physical id 1"):
        saved("npu-smi/info-910b.txt", "npu-smi/vnpu-310p.txt")


@pytest.mark.parametrize("is_above", [True, False])
def test_ids_of_chips_stand_above_or_below_their_values(is_above: bool) -> None:
    chips = [("Chip ID : 0", "Aicore Usage Rate(%) : 10"), ("Chip ID : 1", "Aicore Usage Rate(%) : 20")]
    lines = [line for pair in chips for line in (pair if is_above else reversed(pair))]
    details = ToolOutput(text="\n".join(["NPU ID : 2", "Chip Count : 2", *lines]), source="usages.txt")
    first, second = read_saved([output_of("npu-smi/info-310p.txt"), details])
    assert (first.usage.utilisation_frac, second.usage.utilisation_frac) == (0.1, 0.2)


def test_mapping_and_usages_do_without_the_table() -> None:
    mapping = "NPU ID  Chip ID  Chip Logic ID  Chip Name\n0  0  0  Ascend 910B3\n0  1  -  Mcu\n"
    outputs = [output_of("npu-smi/usages-910b.txt"), ToolOutput(text=mapping, source="mapping.txt")]
    (device,) = read_saved(outputs)
    assert (device.id, device.model, device.memory_bytes) == ("npu:0", "Ascend 910B3", 65536 * MIB)
    assert device.usage.memory_used_bytes == round(65536 * MIB * 0.05)
    assert device.health.state is HealthState.UNKNOWN


def test_two_chips_of_an_a3_card_are_two_devices_on_one_board() -> None:
    first, second, third, _ = saved("npu-smi/info-a3.txt", "npu-smi/mapping-a3.txt", "npu-smi/topo-a3.txt")
    assert [first.id, second.id, third.id] == ["npu:0", "npu:1", "npu:2"]
    assert first.generation == "Ascend 910C"
    assert (first.address.board, second.address.board, third.address.board) == ("6", "6", "7")
    assert first.address.device_files == ("/dev/davinci12",)
    assert (first.usage.power_w, second.usage.power_w) == (171.9, None)
    assert first.distances == {"npu:1": Proximity.BOARD, "npu:2": Proximity.LINK, "npu:3": Proximity.LINK}
    assert first.links[0] == DeviceLink(to="npu:1", kind="sio")


def test_the_a3_table_alone_has_physical_ids_and_counts_logical_ones() -> None:
    devices = saved("npu-smi/info-a3.txt")
    assert [device.id for device in devices] == ["npu:0", "npu:1", "npu:2", "npu:3"]
    assert [device.address.device_files[0] for device in devices] == [f"/dev/davinci{number}" for number in (12, 13, 14, 15)]


def test_the_950_layout_has_its_id_in_a_cell_of_its_own() -> None:
    first, second = saved("npu-smi/info-950.txt", "npu-smi/mapping-950.txt")
    assert (first.model, first.generation, first.memory_bytes) == ("Ascend 950PR", "Ascend 950", 114688 * MIB)
    assert (first.usage.utilisation_frac, first.usage.memory_used_bytes) == (0.63, 88001 * MIB)
    assert (first.address.pci_bus_id, second.address.pci_bus_id) == ("0000:07:00.0", "")
    assert [device.address.device_files for device in (first, second)] == [("/dev/davinci4",), ("/dev/davinci5",)]
    assert "fp8" in first.features


def test_a_310p_card_has_ordinary_memory_and_logical_ids() -> None:
    first, second = saved("npu-smi/info-310p.txt")
    assert (first.memory_bytes, second.memory_bytes) == (44280 * MIB, 43693 * MIB)
    assert (first.generation, first.address.board, first.usage.power_w) == ("Ascend 310P", "2", None)
    assert second.address.device_files == ("/dev/davinci1",)


def test_an_older_table_without_huge_pages_is_read() -> None:
    (device,) = saved("npu-smi/info-310-old.txt")
    assert (device.generation, device.memory_bytes) == ("Ascend 310", 8192 * MIB)
    assert (device.usage.power_w, device.usage.temperature_c, device.usage.utilisation_frac) == (12.8, 58.0, 0.21)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (6, "saved.txt:5: the table ends after its header"),
        (7, "saved.txt:7: the table ends before the second row of a chip"),
        (8, "saved.txt:8: the table is cut off"),
        (5, "saved.txt:5: the table ends after its header"),
        (4, "saved.txt:4: the table ends in its header"),
    ],
)
def test_a_table_that_is_cut_off_is_refused_with_its_line(lines: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_text("\n".join(TABLE.splitlines()[:lines]))


def test_a_row_that_is_cut_off_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigurationError, match=r"saved\.txt:8: a row of the table is cut off"):
        read_text(TABLE[: TABLE.index("3361 / 65")])


def test_columns_that_the_header_does_not_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"saved\.txt:7: the row has other columns than the header"):
        read_text(TABLE.replace("91.5        38", "91.5        38   7"))


def test_outputs_of_different_machines_do_not_join() -> None:
    with pytest.raises(ConfigurationError, match=r"mapping-a3\.txt:2: NPU 6 chip 0 is not in the table"):
        saved("npu-smi/info-910b.txt", "npu-smi/mapping-a3.txt")
    with pytest.raises(ConfigurationError, match=r"topo-a3\.txt:2: Phy-ID12 is in none of the other outputs"):
        saved("npu-smi/info-910b.txt", "npu-smi/topo-a3.txt")


@pytest.mark.parametrize("name", ["mapping-910b", "topo-910b", "usages-910b"])
def test_an_output_that_does_not_say_enough_names_the_command_to_add(name: str) -> None:
    with pytest.raises(ConfigurationError, match="npu-smi info"):
        saved(f"npu-smi/{name}.txt")
