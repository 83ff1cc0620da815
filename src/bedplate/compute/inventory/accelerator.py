"""Devices of accelerator vendors, from what their readers found."""

from __future__ import annotations

from collections.abc import Iterable

from bedplate.compute.inventory.base import Vendor
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceUsage, HealthState, Visibility

NO_MEMORY = "it does not say how much memory it has"
"""Finding of a device that is in the list and says little else."""
UNKNOWN_MODEL = "unknown"
_ORDER = (HealthState.OK, HealthState.UNKNOWN, HealthState.DEGRADED, HealthState.FAILED)


def accelerator(
    vendor: Vendor,
    index: int,
    *,
    model: str,
    memory_bytes: int | None,
    word: str | None = None,
    generation: str = "",
    features: tuple[str, ...] = (),
    health: DeviceHealth | None = None,
    address: DeviceAddress | None = None,
    usage: DeviceUsage | None = None,
) -> Device:
    """One device.

    Args:
        vendor: Whose it is.
        index: Its number as the vendor's runtime counts.
        model: Without the vendor's name; empty where it does not say.
        memory_bytes: None or 0 where it does not say: one that is down, or one that shares the host's memory. It is listed with
            0, and a finding.
        word: What the visibility variable calls it; its number when None.
        generation: As in `Device`; so are the rest.
        features: Precisions and architecture.
        health: Unknown when None.
        address: Empty when None.
        usage: Empty when None.
    """
    variable = vendor.visibility_variable
    health = health or DeviceHealth()
    if not memory_bytes:
        health = worse(health, DeviceHealth(findings=(NO_MEMORY,)))
    return Device(
        id=f"{vendor.device_prefix}:{index}",
        kind=vendor.device_kind,
        vendor=vendor.name,
        model=model or UNKNOWN_MODEL,
        memory_bytes=memory_bytes or 0,
        generation=generation,
        features=features,
        health=health,
        address=address or DeviceAddress(),
        usage=usage or DeviceUsage(),
        visibility=Visibility(variable=variable, word=str(index) if word is None else word) if variable else None,
    )


def unless_silent(
    devices: Iterable[Device], output: ToolOutput, *, expected: str = "", next_step: str = ""
) -> tuple[Device, ...]:
    """The devices, some of which may be down: one that does not say what it has must not hide the others.

    Args:
        devices: All that the tool lists.
        output: Where they are from.
        expected: What says how much memory a device has.
        next_step: Which command prints it.

    Raises:
        ConfigurationError: None of them says how much memory it has: it is the wrong output.
    """
    listed = tuple(devices)
    if listed and not any(device.memory_bytes or device.health.state is HealthState.FAILED for device in listed):
        raise output.refusal(
            "no device says how much memory it has",
            seen=", ".join(device.id for device in listed[:8]),
            expected=expected or None,
            next_step=next_step or None,
        )
    return listed


def coded_health(vendor: Vendor, codes: Iterable[str], *, is_asked: bool = True) -> DeviceHealth:
    """Health from the vendor's own codes: the worst of what they mean in its record; `ok` for none.

    A code that the record does not know is shown as it is, and the state is unknown.

    Args:
        vendor: Whose record says what the codes mean.
        codes: As the tool prints them.
        is_asked: Whether the tool was asked at all; otherwise no code means unknown.
    """
    codes = tuple(dict.fromkeys(codes))
    states = [vendor.health_codes[code].state if code in vendor.health_codes else HealthState.UNKNOWN for code in codes]
    state = max(states, key=_ORDER.index, default=HealthState.OK if is_asked else HealthState.UNKNOWN)
    shown = [code for code, its in zip(codes, states, strict=True) if its is not HealthState.OK]
    return DeviceHealth(state=state, findings=tuple(_finding(vendor, code) for code in shown), codes=tuple(shown))


def _finding(vendor: Vendor, code: str) -> str:
    known = vendor.health_codes.get(code)
    return f"{code}: not a known code" if known is None else f"{code}: {known.meaning}; {known.next_step}"


def counted_errors(vendor: Vendor, code: str, count: int | None, what: str) -> DeviceHealth:
    """Health from a counter that should be zero: `code` of the vendor's record where it is not.

    Args:
        vendor: Whose record says what the code means.
        code: Its key there.
        count: None where the device cannot say: its health is unknown then.
        what: What was counted: `uncorrectable memory errors`.
    """
    if count is None:
        return DeviceHealth()
    if not count:
        return DeviceHealth(state=HealthState.OK)
    known = vendor.health_codes[code]
    return DeviceHealth(state=known.state, findings=(f"{count} {what} ({code}); {known.next_step}",), codes=(code,))


def worse(one: DeviceHealth, other: DeviceHealth) -> DeviceHealth:
    """Both together: the worse state, all findings."""
    state = max((one.state, other.state), key=_ORDER.index)
    if HealthState.OK in (one.state, other.state) and state is HealthState.UNKNOWN:
        state = HealthState.OK
    return DeviceHealth(state=state, findings=one.findings + other.findings, codes=one.codes + other.codes)
