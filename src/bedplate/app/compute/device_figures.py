"""A device in JSON, with what is known of its model: published where nothing was measured, each figure with its provenance."""

from __future__ import annotations

from bedplate.compute.capabilities.figures import figures_of
from bedplate.core.devices import Device
from bedplate.core.json import JsonObject


def device_json(device: Device) -> JsonObject:
    """As `Device.as_json`, and `figures`."""
    return {**device.as_json(), "figures": figures_of(device).as_json()}
