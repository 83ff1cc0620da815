"""No vendor's probe can break the inventory of the others."""

import time

import pytest

from bedplate.compute.inventory.base import load_probe, take_inventory
from bedplate.core.clock import VirtualClock
from bedplate.core.errors import UsageError
from tests.recording_sink import RecordingSink

ODD = "tests.compute.inventory.odd_probes"
CPU = "bedplate.compute.inventory.cpu:CpuProbe"


def test_a_probe_with_nothing_to_ask_is_normal_and_silent() -> None:
    heard = RecordingSink()
    inventory = take_inventory({"odd": f"{ODD}:Absent", "cpu": CPU}, events=heard)
    assert [device.id for device in inventory.devices] == ["cpu:0"]
    assert inventory.troubles == ()
    assert heard.events == []


def test_devices_of_several_probes_come_in_the_order_of_the_registry_whatever_their_libraries_print() -> None:
    inventory = take_inventory({"odd": f"{ODD}:Present", "cpu": CPU})
    assert [device.id for device in inventory.devices] == ["npu:0", "cpu:0"]
    assert inventory.devices[0].features == ("fp8",)


@pytest.mark.parametrize(
    ("name", "words"),
    [("Raising", "driver and library differ"), ("Crashing", "exit code -11"), ("Nonsense", "not a device probe")],
)
def test_a_broken_probe_is_an_event_and_costs_no_other_device(name: str, words: str) -> None:
    heard = RecordingSink()
    inventory = take_inventory({"odd": f"{ODD}:{name}", "cpu": CPU}, events=heard, clock=VirtualClock(7.0))
    assert [device.kind for device in inventory.devices] == ["cpu"]
    assert [(trouble.probe, trouble.kind) for trouble in inventory.troubles] == [("odd", "broken")]
    assert [(event.kind, event.at_s) for event in heard.events] == [("inventory.probe_broken", 7.0)]
    assert words in heard.events[0].message


def test_a_hanging_probe_is_cut_off_in_time() -> None:
    heard = RecordingSink()
    began_s = time.monotonic()
    inventory = take_inventory({"odd": f"{ODD}:Hanging", "cpu": CPU}, timeout_s=2.0, events=heard)
    assert time.monotonic() - began_s < 10
    assert [device.kind for device in inventory.devices] == ["cpu"]
    assert [event.kind for event in heard.events] == ["inventory.probe_hung"]


def test_a_word_that_names_no_probe_is_refused() -> None:
    with pytest.raises(UsageError, match="not a device probe"):
        load_probe("bedplate.compute.inventory.cpu")
