"""Rates that were measured on this machine's devices, kept next to the state: what the scheduler believes about a device.

Only rates that nothing disturbed are stored: one that was measured while other work ran says how busy the machine was, not
what the device can do.
"""

from __future__ import annotations

import contextlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.wiring import state_location
from bedplate.core.devices import Device, DeviceRates
from bedplate.core.errors import MessageError
from bedplate.core.files import write_file
from bedplate.core.json import Json, JsonObject, digest
from bedplate.core.messages import decode, encode

MAX_AGE_S = 7 * 86400.0
"""Rates older than a week count as never measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRates:
    """Rates of one device and when they were measured."""

    rates: DeviceRates
    at_s: float


class DeviceRateStore:
    """One JSON file in the folder that `--state` names.

    Args:
        state: A folder or a database URL; None for the user's state folder, where the rates of this machine also go if the
            state is a database elsewhere.
    """

    def __init__(self, state: str | None = None) -> None:
        self.file: Path = state_location(state).runs_folder.parent / "device-rates.json"

    def put(self, device: Device, at_s: float) -> bool:
        """Store the device's rates unless they were disturbed; returns whether they were stored.

        A folder that cannot be written is no error here: `doctor` has a check for that.
        """
        if device.measured.disturbed:
            return False
        kept = self._read()
        kept[_identity(device)] = encode(StoredRates(rates=device.measured, at_s=at_s))
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.file, json.dumps(kept, indent=2))
            return True
        return False

    def get(self, device: Device, now_s: float) -> StoredRates | None:
        """What was measured on this very device in the last `MAX_AGE_S` seconds."""
        try:
            stored = decode(StoredRates, self._read()[_identity(device)])
        except (KeyError, MessageError):
            return None
        return stored if now_s - stored.at_s < MAX_AGE_S else None

    def _read(self) -> dict[str, JsonObject]:
        try:
            kept = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _identity(device: Device) -> str:
    """The same id on another machine or cpuset is another device: homes are shared between machines."""
    facts: Json = {
        "host": platform.node(),
        "id": device.id,
        "model": device.model,
        "cores": list(device.cores),
        "features": list(device.features),
    }
    return digest(facts)
