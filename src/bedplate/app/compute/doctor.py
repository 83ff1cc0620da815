"""`doctor`: what is on this machine, what each device does, what is missing and how to mend it.

Each device is measured by a task of its own on a local engine that owns just that device's cores, one device after
another. What was measured is kept in the state folder with its time, for whoever wants rates without measuring again.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.app.paths import cache_home, state_home
from bedplate.compute.inventory import Inventory, take_inventory
from bedplate.compute.inventory.cgroups import cpu_limit, memory_limit_bytes
from bedplate.core.clock import SystemClock
from bedplate.core.devices import Device, DeviceRates
from bedplate.core.errors import BedplateError, TaskError
from bedplate.core.json import JsonObject, digest
from bedplate.core.units import format_duration
from bedplate.core.workload import Gang, Resources, Task, TaskState
from bedplate.engines.local.engine import LocalEngine
from bedplate.operations.host.checks import Check, CheckStatus, HostFacts, check_host
from bedplate.operations.preflight.measure import RateReport

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


def examine(*, measure: bool = True, budget_s: float = 5.0, say: Callable[[str], None] = lambda _line: None) -> DoctorReport:
    """Look at this machine.

    Args:
        measure: Measure each device; otherwise show what was measured last on the same device, if anything.
        budget_s: Time for the measurements of one device; its task takes some 3 s more to start.
        say: Told what is going on.
    """
    inventory = take_inventory()
    facts = HostFacts(state=state_home(), cache=cache_home(), cpu_limit=cpu_limit(), memory_limit_bytes=memory_limit_bytes())
    checks = [*check_host(facts), *_probe_checks(inventory)]
    devices = []
    for device in inventory.devices:
        if measure and device.cores:
            say(f"measuring {device.id}: {device.model}, {len(device.cores)} cores, about {budget_s + 3:.0f} s")
            device, check = _measured(device, budget_s)
        else:
            device, check = _remembered(device)
        checks.append(check)
        devices.append(device)
    return DoctorReport(devices=tuple(devices), checks=tuple(checks))


def _probe_checks(inventory: Inventory) -> Iterator[Check]:
    for trouble in inventory.troubles:
        fix = "its devices are missing from the inventory; see that the vendor's own tool works first"
        yield Check(name=f"probe-{trouble.probe}", status="warn", seen=f"{trouble.kind}: {trouble.message}", fix=fix)


def _measured(device: Device, budget_s: float) -> tuple[Device, Check]:
    name = f"measure-{device.id}"
    try:
        report = _measure_on_engine(device, budget_s)
    except BedplateError as error:
        fix = error.next_step or "bedplate doctor --no-measure shows the rest"
        return device, Check(name=name, status="fail", seen=f"{error.what}: {error.seen}", fix=fix)
    device = replace(
        device,
        measured=DeviceRates(
            matmul_flops=report.matmul_flops, memory_bandwidth_bytes_per_s=report.memory_bandwidth_bytes_per_s
        ),
    )
    _remember(device)
    return device, _measure_check(name, report)


def _measure_check(name: str, report: RateReport) -> Check:
    status: CheckStatus = "fail" if report.wrong else "warn" if report.reasons else "ok"
    seen = "; ".join(f"{what}: {reason}" for what, reason in report.reasons.items()) or "all rates, with right results"
    if report.wrong:
        fix = "take this device out of use: it computes wrongly; look for machine checks: dmesg | grep -i mce"
    else:
        fix = "pip install 'bedplate[train]'" if "torch" in seen else ""
    return Check(name=name, status=status, seen=seen, fix=fix)


def _measure_on_engine(device: Device, budget_s: float) -> RateReport:
    task = Task(entry="bedplate.workers.measure:main", spec={"budget_s": budget_s}, resources=Resources(cpus=len(device.cores)))
    with tempfile.TemporaryDirectory(prefix="bedplate-doctor-") as folder:
        engine = LocalEngine(Path(folder), device.cores)
        with contextlib.closing(engine):
            handle = engine.submit(Gang(name="measure", tasks=(task,), heartbeat_timeout_s=START_ALLOWANCE_S))
            status = engine.wait(handle, timeout_s=START_ALLOWANCE_S + 10 * budget_s).tasks[0]
            if status.state is not TaskState.DONE or status.result is None:
                words = status.message or "no answer in time"
                tail = engine.logs(handle, 0).splitlines()[-3:]
                raise TaskError(f"{device.id} could not be measured", seen=words, next_step=" / ".join(tail) or None)
            return RateReport.from_json(status.result)


def _identity(device: Device) -> str:
    return digest({"id": device.id, "model": device.model, "cores": list(device.cores), "features": list(device.features)})


def _rates_file() -> Path:
    return state_home() / "device-rates.json"


def _remember(device: Device) -> None:
    """Keep the rates by the device's identity: the same id on another machine or cpuset is another device."""
    file = _rates_file()
    kept = _kept_rates()
    kept[_identity(device)] = {"measured": device.measured.as_json(), "at_s": SystemClock().now()}
    with contextlib.suppress(OSError):  # a read-only state is a failed check already
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(kept, indent=2))
        aside.replace(file)


def _kept_rates() -> dict[str, JsonObject]:
    try:
        kept = json.loads(_rates_file().read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _remembered(device: Device, oldest_s: float = 7 * 86400.0) -> tuple[Device, Check]:
    """The device with the rates that were measured on it in the last `oldest_s` seconds, if any."""
    name, entry = f"measure-{device.id}", _kept_rates().get(_identity(device), {})
    try:
        measured, age_s = entry["measured"], SystemClock().now() - float(entry["at_s"])  # type: ignore[arg-type]
        rates = DeviceRates(
            matmul_flops=dict(measured["matmul_flops"]),  # type: ignore[index, call-overload, arg-type]
            memory_bandwidth_bytes_per_s=measured["memory_bandwidth_bytes_per_s"],  # type: ignore[index, call-overload, arg-type]
        )
    except (KeyError, TypeError, ValueError):
        age_s = oldest_s
    if age_s >= oldest_s:
        return device, Check(name=name, status="unknown", seen="not measured lately", fix="bedplate doctor")
    return replace(device, measured=rates), Check(name=name, status="ok", seen=f"measured {format_duration(age_s)} ago")


def rows_of_rates(devices: Sequence[Device]) -> list[tuple[str | float | None, ...]]:
    """Device, model, cores, GFLOP/s in fp32, bf16, int8, GB/s: the rows that people read."""
    rows: list[tuple[str | float | None, ...]] = []
    for device in devices:
        rates = device.measured
        numbers = [*(rates.matmul_flops.get(name) for name in ("fp32", "bf16", "int8")), rates.memory_bandwidth_bytes_per_s]
        rows.append(
            (device.id, device.model, len(device.cores), *(None if rate is None else round(rate / 1e9, 1) for rate in numbers))
        )
    return rows
