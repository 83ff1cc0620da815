"""Probes as vendors really ship them: absent, raising, crashing, hanging, babbling."""

import os
import signal
import tempfile
import time
from dataclasses import replace

from bedplate.core.devices import (
    Device,
    DeviceAddress,
    DeviceHealth,
    DeviceLink,
    DevicePartition,
    DeviceUsage,
    HealthState,
    Proximity,
    Visibility,
)


class Absent:
    def is_present(self) -> bool:
        return False

    def devices(self) -> tuple[Device, ...]:
        raise AssertionError("an absent probe must not be asked for devices")


class Present:
    def is_present(self) -> bool:
        return True

    def devices(self) -> tuple[Device, ...]:
        print("a library that greets on stdout")
        return (Device(id="npu:0", kind="npu", vendor="Odd", model="Odd 1", memory_bytes=64, cores=(0,), features=("fp8",)),)


class Raising(Present):
    def devices(self) -> tuple[Device, ...]:
        raise RuntimeError("driver and library differ")


class Crashing(Present):
    def devices(self) -> tuple[Device, ...]:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError("unreachable")


class Hanging(Present):
    def is_present(self) -> bool:
        tempfile.mkdtemp()
        time.sleep(3600)
        return True


class Rich(Present):
    def devices(self) -> tuple[Device, ...]:
        (device,) = super().devices()
        return (
            replace(
                device,
                links=(DeviceLink(to="npu:1", kind="hccs", count=7, bandwidth_bytes_per_s=30e9),),
                health=DeviceHealth(state=HealthState.DEGRADED, findings=("a lane is down",), codes=("E7",)),
                partitions=(DevicePartition(id="slice-0", profile="1g.10gb", memory_bytes=10**10),),
                distances={"npu:1": Proximity.LINK},
                address=DeviceAddress(pci_bus_id="0000:c1:00.0", numa_node=1, device_files=("/dev/odd0",)),
                usage=DeviceUsage(utilisation_frac=0.5, memory_used_bytes=7, temperature_c=41.0),
                visibility=Visibility(variable="ODD_VISIBLE", word="0"),
            ),
        )
