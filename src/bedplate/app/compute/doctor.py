"""`doctor`: what is on this machine, what each device does, what is missing and how to fix it.

Each device is measured by a task of its own on a local engine that owns just that device's cores, one device after
another. Rates that other work disturbed are measured again, then marked; only undisturbed ones are stored.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from bedplate.app.compute.device_rates import DeviceRateStore
from bedplate.app.pipeline.contract.gangs import raise_reported
from bedplate.app.wiring import local_engine, service_events
from bedplate.compute.inventory import VENDORS, Inventory, take_inventory
from bedplate.compute.inventory.cgroups import cpu_limit, memory_limit_bytes
from bedplate.core.clock import SystemClock
from bedplate.core.devices import Device, DeviceRates, HealthState
from bedplate.core.errors import BedplateError, TaskError
from bedplate.core.events.event import EventSink, Subject, SubjectKind
from bedplate.core.events.kinds import DeviceMeasured, HostCheckFailed, make_event
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.paths import cache_home
from bedplate.core.settings import Range, settings
from bedplate.core.units import Duration, format_duration
from bedplate.core.workload import Gang, Resources, Task, TaskState
from bedplate.operations.host.checks import Check, CheckStatus, HostFacts, check_host
from bedplate.operations.preflight.measure import MeasureSpec, RateReport

START_ALLOWANCE_S = 120.0
"""For the start of a measuring task: imports, first touch of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """What was found."""

    devices: tuple[Device, ...]
    checks: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "fail" for check in self.checks)

    def as_json(self) -> JsonObject:
        """What `doctor -o json` prints."""
        return {"devices": [device.as_json() for device in self.devices], "checks": [check.as_json() for check in self.checks]}


@settings
class Settings:
    """What `bedplate doctor` takes."""

    measure: bool = True
    """Measure each device; otherwise show what was measured last on the same device, if anything."""
    budget: Annotated[Duration, Range(0.1)] = 5.0
    """Time to measure each device; its task takes some 3 s more to start, and up to three times as long on a
    busy machine."""


def examine(settings: Settings, *, state: str | None = None, say: Callable[[str], None] = lambda _line: None) -> DoctorReport:
    """Look at this machine.

    Args:
        settings: Whether to measure, and for how long.
        state: Folder or database URL next to which rates are stored; None for the user's state folder.
        say: Called with a line about what is being done.
    """
    with service_events("doctor", state) as events:
        report = _examine(events, DeviceRateStore(state), settings, say)
        _emit(events, report, are_measured=settings.measure)
    return report


def _examine(events: EventSink, store: DeviceRateStore, settings: Settings, say: Callable[[str], None]) -> DoctorReport:
    inventory = take_inventory(events=events)
    facts = HostFacts(
        state=store.file.parent,
        cache=cache_home(),
        cpu_limit=cpu_limit(),
        memory_limit_bytes=memory_limit_bytes(),
        vendor_tools={vendor.name: vendor.tools for vendor in VENDORS if vendor.tools},
    )
    checks = [*check_host(facts), *_probe_checks(inventory), *_health_checks(inventory)]
    devices = []
    for device in inventory.devices:
        if settings.measure and device.kind == "cpu":
            say(f"measuring {device.id}: {device.model}, {len(device.cores)} cores, about {settings.budget + 3:.0f} s")
            device, check = _measured(device, settings.budget, store)
        else:
            device, check = _remembered(device, store)
        checks.append(check)
        devices.append(device)
    return DoctorReport(devices=tuple(devices), checks=tuple(checks))


def _emit(events: EventSink, report: DoctorReport, *, are_measured: bool) -> None:
    now_s = SystemClock().now()
    for check in report.checks:
        if check.status != "ok":
            facts = HostCheckFailed(check=check.name, status=check.status, seen=check.seen, fix=check.fix)
            events.emit(make_event(facts, at_s=now_s, message=f"{check.name}: {check.seen}", source="doctor"))
    for device in report.devices if are_measured else ():
        rates = device.measured
        measured = DeviceMeasured(
            model=device.model,
            matmul_flops=rates.matmul_flops,
            memory_bandwidth_bytes_per_s=rates.memory_bandwidth_bytes_per_s,
            disturbed=rates.disturbed,
        )
        subject = Subject(kind=SubjectKind.DEVICE, id=f"{socket.gethostname()}/{device.id}")
        events.emit(make_event(measured, at_s=now_s, message=device.model, subject=subject, source="doctor"))


def _probe_checks(inventory: Inventory) -> Iterator[Check]:
    for trouble in inventory.troubles:
        fix = "its devices are missing from the inventory; see that the vendor's own tool works first"
        yield Check(name=f"probe-{trouble.probe}", status="warn", seen=f"{trouble.kind}: {trouble.message}", fix=fix)


def _health_checks(inventory: Inventory) -> Iterator[Check]:
    """What accelerators say of themselves: a warning, since bedplate works without them."""
    for device in inventory.devices:
        if device.health.state in (HealthState.DEGRADED, HealthState.FAILED):
            seen = f"{device.health.state.value}: {'; '.join(device.health.findings)}"
            fix = "give it no work until that is done; bedplate compute inventory shows the rest"
            yield Check(name=f"health-{device.id}", status="warn", seen=seen, fix=fix)


def _measured(device: Device, budget_s: float, store: DeviceRateStore) -> tuple[Device, Check]:
    name = f"measure-{device.id}"
    try:
        report = _measure_on_engine(device, budget_s)
    except BedplateError as error:
        fix = error.next_step or "bedplate doctor --no-measure shows the rest"
        return device, Check(name=name, status="fail", seen=f"{error.what}: {error.seen}", fix=fix)
    rates = DeviceRates(
        matmul_flops=report.matmul_flops,
        memory_bandwidth_bytes_per_s=report.memory_bandwidth_bytes_per_s,
        disturbed=report.disturbed,
    )
    device = replace(device, measured=rates)
    store.put(device, SystemClock().now())
    return device, _measure_check(name, report)


def _measure_check(name: str, report: RateReport) -> Check:
    status: CheckStatus = "fail" if report.wrong else "warn" if report.reasons or report.disturbed else "ok"
    found = [f"{what}: {reason}" for what, reason in report.reasons.items()]
    if report.disturbed:
        busy_frac = max(report.busy_frac[what] or 0.0 for what in report.disturbed)
        found.append(f"disturbed: other work took up to {busy_frac:.0%} of the CPU time ({', '.join(report.disturbed)})")
    seen = "; ".join(found) or "all rates, with right results"
    if report.wrong:
        fix = "take this device out of use: it computes wrongly; look for machine checks: dmesg | grep -i mce"
    elif report.disturbed:
        fix = "stop other work on this machine, then: bedplate doctor (disturbed rates are not stored)"
    else:
        fix = "pip install 'bedplate[train]'" if "torch" in seen else ""
    return Check(name=name, status=status, seen=seen, fix=fix)


def _measure_on_engine(device: Device, budget_s: float) -> RateReport:
    spec = encode(MeasureSpec(budget_s=budget_s))
    task = Task(entry="bedplate.workers.measure:main", spec=spec, resources=Resources(cpus=len(device.cores)))
    with tempfile.TemporaryDirectory(prefix="bedplate-doctor-") as folder:
        engine = local_engine(Path(folder), device.cores)
        with contextlib.closing(engine):
            handle = engine.submit(Gang(name="measure", tasks=(task,), heartbeat_timeout_s=START_ALLOWANCE_S))
            status = engine.wait(handle, timeout_s=START_ALLOWANCE_S + 10 * budget_s).tasks[0]
            if status.state is not TaskState.DONE or status.result is None:
                words = status.message or "no answer in time"
                tail = engine.logs(handle, 0).splitlines()[-3:]
                raise TaskError(f"{device.id} could not be measured", seen=words, next_step=" / ".join(tail) or None)
            raise_reported(status)
            return decode(RateReport, status.result)


def _remembered(device: Device, store: DeviceRateStore) -> tuple[Device, Check]:
    """The device with the rates that were last measured on it undisturbed, if any."""
    name, now_s = f"measure-{device.id}", SystemClock().now()
    if device.kind != "cpu":
        return device, Check(name=name, status="unknown", seen="only CPUs are measured so far")
    if (stored := store.get(device, now_s)) is None:
        return device, Check(name=name, status="unknown", seen="not measured lately", fix="bedplate doctor")
    seen = f"measured {format_duration(now_s - stored.at_s)} ago"
    return replace(device, measured=stored.rates), Check(name=name, status="ok", seen=seen)


def rows_of_rates(devices: Sequence[Device]) -> list[tuple[str | float | None, ...]]:
    """Device, model, cores, GFLOP/s in fp32, bf16, int8, GB/s: the rows that people read; `?` marks a disturbed rate."""
    rows: list[tuple[str | float | None, ...]] = []
    for device in devices:
        measured = device.measured
        rates = {name: measured.matmul_flops.get(name) for name in ("fp32", "bf16", "int8")}
        rates["copy"] = measured.memory_bandwidth_bytes_per_s
        shown = (_shown(rate, what in measured.disturbed) for what, rate in rates.items())
        rows.append((device.id, device.model, len(device.cores), *shown))
    return rows


def _shown(rate: float | None, is_disturbed: bool) -> str | float | None:
    if rate is None:
        return None
    return f"{rate / 1e9:.1f}?" if is_disturbed else round(rate / 1e9, 1)
