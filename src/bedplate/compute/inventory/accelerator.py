"""Devices of accelerator vendors, from what their readers found."""

from __future__ import annotations

from collections.abc import Iterable

from bedplate.compute.inventory.base import Vendor
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceUsage, HealthState, Visibility

_ORDER = (HealthState.OK, HealthState.UNKNOWN, HealthState.DEGRADED, HealthState.FAILED)


def accelerator(
    vendor: Vendor,
    index: int,
    *,
    model: str,
    memory_bytes: int,
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
        model: Without the vendor's name.
        memory_bytes: 0 where a device that is down does not say.
        word: What the visibility variable calls it; its number when None.
        generation: As in `Device`; so are the rest.
        features: Precisions and architecture.
        health: Unknown when None.
        address: Empty when None.
        usage: Empty when None.
    """
    variable = vendor.visibility_variable
    return Device(
        id=f"{vendor.device_prefix}:{index}",
        kind=vendor.device_kind,
        vendor=vendor.name,
        model=model,
        memory_bytes=memory_bytes,
        generation=generation,
        features=features,
        health=health or DeviceHealth(),
        address=address or DeviceAddress(),
        usage=usage or DeviceUsage(),
        visibility=Visibility(variable=variable, word=str(index) if word is None else word) if variable else None,
    )


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
