"""Lists the devices of this machine in a way that no vendor's library can break.

A vendor's library may be absent, may raise, may crash the process that loaded it, and may hang in a driver call that
no thread can be cut out of. So each probe that has something to look at runs in a process of its own, all in parallel, and
answers with JSON on stdout. Absent is normal and silent; broken and hanging are events, and cost only that vendor's devices,
or less: a probe may list devices and say what went wrong beside. Two vendors may have tools of the same name: that one of
them cannot read what the other's prints is no trouble.
Cost: with CPUs only, some file reads; else one start of Python, about 0.1 s, whatever the number of vendors.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bedplate.compute.inventory.base import DeviceProbe, TroubleKind, Vendor
from bedplate.compute.inventory.registry import VENDORS
from bedplate.core.clock import Clock, SystemClock
from bedplate.core.devices import Device
from bedplate.core.errors import BedplateError, MessageError, UsageError
from bedplate.core.events.event import Event, EventSink
from bedplate.core.events.kinds import InventoryProbeBroken, InventoryProbeHung, make_event
from bedplate.core.messages import decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrouble:
    """A vendor whose devices seem to be present, but whose probe did not answer."""

    probe: str
    """`Vendor.name`."""
    kind: TroubleKind
    message: str
    """The last line of its error output, or why there is none; or what went wrong although it listed devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Devices of this machine, and the vendors whose probe failed."""

    devices: tuple[Device, ...]
    troubles: tuple[ProbeTrouble, ...] = ()


def take_inventory(
    vendors: Sequence[Vendor] = VENDORS,
    *,
    timeout_s: float = 10.0,
    events: EventSink | None = None,
    clock: Clock | None = None,
) -> Inventory:
    """Run the probes of all vendors in parallel.

    Args:
        vendors: Whose devices to look for.
        timeout_s: A probe that has not answered by then is killed, and reported as hung.
        events: Where troubles go, as `inventory.probe_broken` and `inventory.probe_hung`.
        clock: What stamps the events.

    Returns:
        Devices in the order of `vendors`; those of a troubled probe are missing.
    """
    asked = [vendor for vendor in vendors if vendor.probe and vendor.is_likely_here()]
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as askers:
        answers = list(askers.map(_ask, asked, itertools.repeat(timeout_s)))
    devices = [device for answer in answers for device in answer.devices]
    answered = {tool for vendor, answer in zip(asked, answers, strict=True) if answer.devices for tool in vendor.tools}
    troubles = [
        trouble
        for vendor, answer in zip(asked, answers, strict=True)
        for trouble in answer.troubles
        if answer.devices or trouble.kind == "hung" or answered.isdisjoint(vendor.tools)
    ]
    if events is not None:
        for trouble in troubles:
            events.emit(_trouble_event(trouble, (clock or SystemClock()).now()))
    return Inventory(devices=tuple(devices), troubles=tuple(troubles))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a probe's process prints."""

    devices: tuple[Device, ...] = ()
    troubles: tuple[ProbeTrouble, ...] = ()


def _failed(vendor: Vendor, kind: TroubleKind, message: str) -> _Answer:
    return _Answer(troubles=(ProbeTrouble(probe=vendor.name, kind=kind, message=message),))


def _ask(vendor: Vendor, timeout_s: float) -> _Answer:
    if vendor.reads_files_only:
        return _ask_here(vendor)
    with tempfile.TemporaryDirectory(prefix="bedplate-probe-", ignore_cleanup_errors=True) as folder:
        return _ask_process(vendor, timeout_s, folder)


def _ask_process(vendor: Vendor, timeout_s: float, folder: str) -> _Answer:
    """The answer of a probe in a process of its own; what it and its tools write goes to `folder`, also if it is killed."""
    environment = {**os.environ, "TMPDIR": folder, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "bedplate.compute.inventory.take", vendor.probe, vendor.name]
    # A session of its own, so that tools which the probe started are killed with it.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _cut_off(process)
        return _failed(vendor, "hung", f"no answer within {timeout_s:g} s; its process was killed")
    _kill_group(process.pid)  # children of tools that hung are left
    if process.returncode:
        last_words = (errors.strip().splitlines() or ["no error output"])[-1]
        return _failed(vendor, "broken", f"exit code {process.returncode}: {last_words}")
    try:
        return decode(_Answer, json.loads(output.splitlines()[-1]))
    except (ValueError, TypeError, IndexError, MessageError) as error:
        return _failed(vendor, "broken", f"not an answer of a probe: {error!r} in {output[-200:]!r}")


def _ask_here(vendor: Vendor) -> _Answer:
    try:
        return _asked(load_probe(vendor.probe), vendor.name)
    except (OSError, ValueError) as error:
        return _failed(vendor, "broken", f"{type(error).__name__}: {error}")


def _asked(probe: DeviceProbe, name: str) -> _Answer:
    try:
        devices = probe.devices() if probe.is_present() else ()
    except BedplateError:
        if not any(kind == "hung" for kind, _ in getattr(probe, "troubles", ())):
            raise
        devices = ()
    said: Sequence[tuple[TroubleKind, str]] = getattr(probe, "troubles", ())
    troubles = (ProbeTrouble(probe=name, kind=kind, message=message) for kind, message in said)
    return _Answer(devices=devices, troubles=tuple(troubles))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _cut_off(process: subprocess.Popen[str]) -> None:
    _kill_group(process.pid)
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
    """Prints one answer; an error that is ours is one line, that of a library its traceback."""
    probe, name = load_probe(sys.argv[1]), sys.argv[2]
    try:
        answer = _asked(probe, name)
    except BedplateError as error:
        sys.exit(str(error))
    print(json.dumps(encode(answer)))


if __name__ == "__main__":
    _main()
