"""What a cluster has and what is asked of it: nodes and classes of requests.

A device is divided into thousandths (`WHOLE`): a request takes a share of one device, or whole devices of one model. Requests
that need the same are one class, and policies reason about classes: a cluster meets a few hundred of them, however many
requests arrive.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.compute.scheduler.job import WHOLE as WHOLE
from bedplate.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as it is when nothing runs on it."""

    name: str
    cpu_milli: int
    memory_mib: int
    num_devices: int
    model: str
    """Of its devices."""
    device_models: tuple[str, ...] = ()
    """Model of each device of a node with several; empty where all are `model`."""
    path: tuple[str, ...] = ()
    """Where it hangs in the network, from the outside in: pod, rack, leaf, as many levels as there are; empty if unknown."""

    def __post_init__(self) -> None:
        if self.device_models and len(self.device_models) != self.num_devices:
            raise UsageError(
                f"the devices of node {self.name} cannot be read",
                seen=f"{self.num_devices} devices, {len(self.device_models)} models",
                expected="the model of each device, or none where all are alike",
            )

    @property
    def models(self) -> tuple[str, ...]:
        """Model of each device, shape (num_devices,)."""
        return self.device_models or (self.model,) * self.num_devices


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RequestClass:
    """What one request needs."""

    cpu_milli: int
    memory_mib: int
    num_devices: int = 0
    share_milli: int = 0
    """Of each device: `WHOLE`, or less of a single one; 0 without devices."""
    models: tuple[str, ...] = ()
    """Models that it accepts, sorted; any if empty. Several devices are of one model."""

    def __post_init__(self) -> None:
        is_share = 0 < self.share_milli < WHOLE and self.num_devices == 1
        is_whole = self.share_milli == WHOLE and self.num_devices >= 1
        is_without = self.share_milli == 0 and self.num_devices == 0
        if not (is_share or is_whole or is_without) or min(self.cpu_milli, self.memory_mib) < 0:
            raise UsageError(
                "a request cannot be read",
                seen=f"{self.num_devices} devices, {self.share_milli}/{WHOLE} of each, {self.cpu_milli} mCPU, "
                f"{self.memory_mib} MiB",
                expected="no device, a share of one device, or whole devices",
            )

    def __str__(self) -> str:
        devices = f"{self.num_devices} x {self.share_milli}/{WHOLE} of {'|'.join(self.models) or 'any model'}"
        return f"{devices if self.num_devices else 'no device'}, {self.cpu_milli} mCPU, {self.memory_mib} MiB"

    @property
    def device_milli(self) -> int:
        """Thousandths of devices in all."""
        return self.num_devices * self.share_milli
