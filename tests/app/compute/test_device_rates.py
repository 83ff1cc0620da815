"""What is stored about a device was measured undisturbed, and lies next to the state that was named."""

from dataclasses import replace
from pathlib import Path

from bedplate.app.compute.device_rates import MAX_AGE_S, DeviceRateStore
from bedplate.core.devices import Device, DeviceRates

RATES = DeviceRates(matmul_flops={"fp32": 3e11, "bf16": None, "int8": 1e12}, memory_bandwidth_bytes_per_s=1e10)
DEVICE = Device(id="cpu:0", kind="cpu", vendor="amd", model="EPYC", memory_bytes=2**30, cores=(0, 1), measured=RATES)


def test_stored_rates_come_back_for_the_same_device_only(tmp_path: Path) -> None:
    store = DeviceRateStore(str(tmp_path))
    assert store.put(DEVICE, at_s=100.0)
    found = DeviceRateStore(str(tmp_path)).get(DEVICE, now_s=160.0)
    assert found is not None
    assert (found.rates, found.at_s) == (RATES, 100.0)
    assert store.get(replace(DEVICE, cores=(0,)), now_s=160.0) is None


def test_disturbed_rates_do_not_replace_what_was_measured_before(tmp_path: Path) -> None:
    store = DeviceRateStore(str(tmp_path))
    store.put(DEVICE, at_s=100.0)
    slow = replace(RATES, matmul_flops={"fp32": 3e10}, disturbed=("fp32",))
    assert not store.put(replace(DEVICE, measured=slow), at_s=200.0)
    found = store.get(DEVICE, now_s=210.0)
    assert found is not None and found.rates == RATES


def test_old_or_damaged_rates_count_as_never_measured(tmp_path: Path) -> None:
    store = DeviceRateStore(str(tmp_path))
    store.put(DEVICE, at_s=100.0)
    assert store.get(DEVICE, now_s=100.0 + MAX_AGE_S) is None
    store.file.write_text('{"half": ')
    assert store.get(DEVICE, now_s=101.0) is None


def test_rates_lie_next_to_the_state_that_was_named(tmp_path: Path) -> None:
    assert DeviceRateStore(str(tmp_path / "a")).file == tmp_path / "a/device-rates.json"
    assert DeviceRateStore(f"sqlite:///{tmp_path}/b/state.db").file == tmp_path / "b/device-rates.json"
