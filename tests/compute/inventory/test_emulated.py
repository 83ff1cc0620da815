import pytest

from bedplate.compute.inventory import emulated, take_inventory, this_node


def test_there_are_none_unless_people_ask_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(emulated.COUNT_VARIABLE, raising=False)
    assert take_inventory((emulated.VENDOR,)).devices == ()


def test_as_many_as_people_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(emulated.COUNT_VARIABLE, "2")
    node = this_node()
    devices = [device for device in node.devices if device.vendor == "emulated"]
    assert [device.id for device in devices] == ["emulated:0", "emulated:1"]
    assert [device.visibility.word for device in devices if device.visibility] == ["0", "1"]
    assert {device.runtime.backend for device in devices} == {"emulated"}
    assert {device.runtime.precisions for device in devices} == {("fp32", "int8")}
    assert sum(device.memory_bytes for device in devices) <= 2**50


def test_nonsense_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(emulated.COUNT_VARIABLE, "two")
    (trouble,) = take_inventory((emulated.VENDOR,)).troubles
    assert emulated.COUNT_VARIABLE in trouble.message
