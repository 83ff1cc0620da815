"""The seam that vendors join: a small protocol, a registry, and a way of asking that no vendor can break.

A vendor's library may be absent, may raise, may crash the process that loaded it, and may hang in a driver call that
no thread can be cut out of. So each probe that has something to look at runs in a process of its own, all at once, and
answers with JSON on stdout. Absent is normal and silent; broken and hanging are events, and cost only that vendor's
devices. Cost: one start of Python, about 0.1 s, whatever the number of vendors.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Device
from bedplate.core.errors import UsageError
from bedplate.core.event_kinds import InventoryProbeBroken, InventoryProbeHung, make_event
from bedplate.core.events import Event, EventSink
from bedplate.core.json import JsonObject


class DeviceProbe(Protocol):
    """How one vendor's devices are found. Built without arguments in the process that asks it."""

    def is_present(self) -> bool:
        """Whether there is anything to ask: the library, tool or files of the vendor. Quick; False is normal."""
        ...

    def devices(self) -> tuple[Device, ...]:
        """The devices that this process may use, without measured rates. May raise, crash or hang."""
        ...


PROBES: dict[str, str] = {
    "cpu": "bedplate.compute.inventory.cpu:CpuProbe",
}
"""Probe name -> `module:class`; loaded only in the process that asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrouble:
    """A probe that was present and gave no answer."""

    probe: str
    kind: Literal["broken", "hung"]
    message: str
    """Its last words, one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Devices of this machine, and whom we could not ask."""

    devices: tuple[Device, ...]
    troubles: tuple[ProbeTrouble, ...] = ()


def take_inventory(
    probes: Mapping[str, str] = PROBES,
    *,
    timeout_s: float = 10.0,
    events: EventSink | None = None,
    clock: Clock | None = None,
) -> Inventory:
    """Ask all probes at once.

    Args:
        probes: Name -> `module:class` of a `DeviceProbe`.
        timeout_s: A probe that has not answered by then is killed, and reported as hung.
        events: Where troubles go, as `inventory.probe_broken` and `inventory.probe_hung`.
        clock: What stamps the events.

    Returns:
        Devices in the order of `probes`; those of a troubled probe are missing.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(probes))) as askers:
        answers = list(askers.map(_ask, probes.keys(), probes.values(), itertools.repeat(timeout_s)))
    devices = [device for answer in answers if isinstance(answer, tuple) for device in answer]
    troubles = [answer for answer in answers if isinstance(answer, ProbeTrouble)]
    if events is not None:
        for trouble in troubles:
            events.emit(_trouble_event(trouble, (clock or SystemClock()).now()))
    return Inventory(devices=tuple(devices), troubles=tuple(troubles))


def _ask(name: str, entry: str, timeout_s: float) -> tuple[Device, ...] | ProbeTrouble:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "bedplate.compute.inventory.base", entry]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _cut_off(process)
        return ProbeTrouble(probe=name, kind="hung", message=f"no answer within {timeout_s:g} s; its process was killed")
    if process.returncode:
        last_words = (errors.strip().splitlines() or ["it said nothing"])[-1]
        return ProbeTrouble(probe=name, kind="broken", message=f"exit code {process.returncode}: {last_words}")
    try:
        return tuple(device_from_json(item) for item in json.loads(output.splitlines()[-1]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return ProbeTrouble(probe=name, kind="broken", message=f"not a list of devices: {error!r} in {output[-200:]!r}")


def _cut_off(process: subprocess.Popen[str]) -> None:
    process.kill()
    try:
        process.communicate(timeout=1.0)
    except subprocess.TimeoutExpired:
        # Stuck in an uninterruptible driver call, where even SIGKILL waits: leave it to init, but keep no pipe.
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _trouble_event(trouble: ProbeTrouble, at_s: float) -> Event:
    facts = InventoryProbeHung if trouble.kind == "hung" else InventoryProbeBroken
    message = f"probe '{trouble.probe}' is {trouble.kind}: {trouble.message}"
    return make_event(facts(probe=trouble.probe, detail=trouble.message), at_s=at_s, message=message, source="inventory")


def device_from_json(data: JsonObject) -> Device:
    """A device from `Device.as_json` without its measured rates; KeyError, TypeError or ValueError when it is not one."""
    cores, features = data["cores"], data["features"]
    if not isinstance(cores, list) or not isinstance(features, list):
        raise TypeError(f"cores and features must be lists, not {cores!r} and {features!r}")
    return Device(
        id=str(data["id"]),
        kind=str(data["kind"]),
        vendor=str(data["vendor"]),
        model=str(data["model"]),
        memory_bytes=int(data["memory_bytes"]),  # type: ignore[arg-type]
        cores=tuple(int(core) for core in cores),
        features=tuple(str(feature) for feature in features),
    )


def load_probe(entry: str) -> DeviceProbe:
    """The probe named by `module:class`.

    Raises:
        UsageError: Not of that form, or not there.
    """
    module, _, name = entry.partition(":")
    try:
        probe: DeviceProbe = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError("not a device probe", seen=entry, expected="module:class, importable") from error
    return probe


def _main() -> None:
    probe = load_probe(sys.argv[1])
    devices = probe.devices() if probe.is_present() else ()
    print(json.dumps([device.as_json() for device in devices]))


if __name__ == "__main__":
    _main()
