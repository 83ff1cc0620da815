"""No vendor's probe can break the inventory of the others."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from bedplate.compute.inventory import VENDORS, Vendor, cpu, take_inventory
from bedplate.compute.inventory.take import load_probe
from bedplate.core.clock import VirtualClock
from bedplate.core.devices import (
    DeviceAddress,
    DeviceHealth,
    DeviceLink,
    DevicePartition,
    DeviceUsage,
    HealthState,
    Proximity,
    Visibility,
)
from bedplate.core.errors import UsageError
from tests.recording_sink import RecordingSink

ODD = "tests.compute.inventory.odd_probes"


def odd(name: str) -> Vendor:
    """A vendor whose device file is there, with one of the odd probes."""
    return Vendor(name="odd", probe=f"{ODD}:{name}", device_files=("proc/self/status",))


def test_a_probe_with_nothing_to_ask_is_normal_and_silent() -> None:
    heard = RecordingSink()
    inventory = take_inventory((odd("Absent"), cpu.VENDOR), events=heard)
    assert [device.id for device in inventory.devices] == ["cpu:0"]
    assert inventory.troubles == ()
    assert heard.events == []


def test_devices_come_in_registry_order_whatever_libraries_print() -> None:
    inventory = take_inventory((odd("Present"), cpu.VENDOR))
    assert [device.id for device in inventory.devices] == ["npu:0", "cpu:0"]
    assert inventory.devices[0].features == ("fp8",)


@pytest.mark.parametrize(
    ("name", "words"),
    [("Raising", "driver and library differ"), ("Crashing", "exit code -11"), ("Nonsense", "not a device probe")],
)
def test_a_broken_probe_is_an_event_and_costs_no_other_device(name: str, words: str) -> None:
    heard = RecordingSink()
    inventory = take_inventory((odd(name), cpu.VENDOR), events=heard, clock=VirtualClock(7.0))
    assert [device.kind for device in inventory.devices] == ["cpu"]
    assert [(trouble.probe, trouble.kind) for trouble in inventory.troubles] == [("odd", "broken")]
    assert [(event.kind, event.at_s) for event in heard.events] == [("inventory.probe_broken", 7.0)]
    assert words in heard.events[0].message


def test_a_hanging_probe_is_cut_off_in_time_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    heard = RecordingSink()
    began_s = time.monotonic()
    inventory = take_inventory((odd("Hanging"), cpu.VENDOR), timeout_s=2.0, events=heard)
    assert time.monotonic() - began_s < 10
    assert [device.kind for device in inventory.devices] == ["cpu"]
    assert [event.kind for event in heard.events] == ["inventory.probe_hung"]
    assert not list(tmp_path.iterdir())


def test_a_word_that_names_no_probe_is_refused() -> None:
    with pytest.raises(UsageError, match="not a device probe"):
        load_probe("bedplate.compute.inventory.cpu")


def test_a_vendor_of_whom_nothing_is_here_is_not_asked() -> None:
    nowhere = Vendor(name="nowhere", probe="no.such.module:Probe", device_files=("dev/nowhere*",), tools=("nowhere-smi",))
    inventory = take_inventory((nowhere, cpu.VENDOR))
    assert [device.kind for device in inventory.devices] == ["cpu"]
    assert inventory.troubles == ()


def test_processors_are_read_in_this_process() -> None:
    began_s = time.process_time()
    num_children = os.times().children_user
    assert take_inventory((cpu.VENDOR,)).devices
    assert os.times().children_user == num_children
    assert time.process_time() - began_s < 1


def test_every_vendor_has_its_own_name_and_a_loadable_probe() -> None:
    assert len({vendor.name for vendor in VENDORS}) == len(VENDORS)
    for vendor in VENDORS:
        assert vendor.device_files or vendor.tools, f"{vendor.name} could never be found"
        if vendor.probe:
            assert isinstance(load_probe(vendor.probe).is_present(), bool)


def test_device_details_survive_the_probe_process() -> None:
    (device,) = take_inventory((odd("Rich"),)).devices
    assert device.links == (DeviceLink(to="npu:1", kind="hccs", count=7, bandwidth_bytes_per_s=30e9),)
    assert device.health == DeviceHealth(state=HealthState.DEGRADED, findings=("a lane is down",), codes=("E7",))
    assert device.partitions == (DevicePartition(id="slice-0", profile="1g.10gb", memory_bytes=10**10),)
    assert device.distances == {"npu:1": Proximity.LINK}
    assert device.address == DeviceAddress(pci_bus_id="0000:c1:00.0", numa_node=1, device_files=("/dev/odd0",))
    assert device.usage == DeviceUsage(utilisation_frac=0.5, memory_used_bytes=7, temperature_c=41.0)
    assert device.visibility == Visibility(variable="ODD_VISIBLE", word="0")
    assert device.as_json()["health"] == {"state": "degraded", "findings": ["a lane is down"], "codes": ["E7"]}
    assert device.as_json()["distances"] == {"npu:1": "link"}
    assert device.as_json()["usage"] == {
        "utilisation_frac": 0.5,
        "memory_used_bytes": 7,
        "temperature_c": 41.0,
        "power_w": None,
        "power_limit_w": None,
    }
