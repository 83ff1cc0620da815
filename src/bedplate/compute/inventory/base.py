"""What the platform knows about a vendor's devices: one record, in the vendor's own file, and one line in `registry.py`.

The record says how to find the devices (probe, tools, device files), how a process is limited to some of them (visibility
variable), what they can compute (precisions) and what their error codes mean (health codes). Code that needs one of these
reads it here or from the `Device` that the probe returns: an engine gets the visibility with each device, `doctor` the tools.

A probe asks the vendor's library where its Python binding is installed, else its tools (`tools/probe.py`), else the kernel's
files.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from bedplate.compute.inventory.tools.reader import ToolReader
from bedplate.core.backends import SupportLevel as SupportLevel
from bedplate.core.devices import Device, HealthState

TroubleKind = Literal["broken", "hung"]


class DeviceProbe(Protocol):
    """Finds the devices of one vendor. Constructed without arguments in the process that calls it.

    A probe that can list devices although something is wrong says so in `troubles`, pairs of `TroubleKind` and text.
    """

    def is_present(self) -> bool:
        """Whether the vendor's library, tool or files are present. Quick; False is normal."""
        ...

    def devices(self) -> tuple[Device, ...]:
        """The devices that this process may use, without measured rates. May raise, crash or hang."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCode:
    """What one of the vendor's error codes says about the device that reports it."""

    state: HealthState
    """`ok` for codes that blame the program and not the device."""
    meaning: str
    """What happened, briefly."""
    next_step: str
    """What an operator should do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Everything vendor-specific about a family of devices."""

    name: str
    """As in `Device.vendor`; `cpu` for the processors of this machine, whatever their make."""
    title: str = ""
    """Its devices' name for people: `Huawei Ascend`. Empty for devices that are nobody's hardware: they have no level."""
    device_prefix: str = ""
    """Of `Device.id`, unique among vendors: `cuda`, `npu`."""
    device_kind: str = "gpu"
    """`Device.kind` of its devices."""
    support: SupportLevel = SupportLevel.PARSED
    probe: str = ""
    """`module:class` of its `DeviceProbe`. Empty: not supported yet; `doctor` then reports that its tool was found."""
    reads_files_only: bool = False
    """Whether the probe only reads files of the kernel, so that it cannot crash or hang and needs no process of its own."""
    device_files: tuple[str, ...] = ()
    """Patterns of files, relative to `/`, that a machine with such devices has."""
    tools: tuple[str, ...] = ()
    """Commands that come with its driver."""
    readers: tuple[ToolReader, ...] = ()
    """How its tools are asked and understood, the best first."""
    library: str = ""
    """The Python binding that its probe prefers to tools; empty where it uses none."""
    cdi_kind: str = ""
    """Of its devices in the Container Device Interface: `nvidia.com/gpu`; empty where its runtime has none."""
    visibility_variable: str = ""
    """Environment variable that limits a process to some of the devices."""
    precisions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Architecture, or instruction set, -> what its matrix units compute with."""
    health_codes: Mapping[str, HealthCode] = field(default_factory=dict)
    """Error code as logs and tools write it -> what it means."""

    def is_likely_here(self, root: Path = Path("/")) -> bool:
        """Whether a device file or a tool of the vendor is there; a few file look-ups."""
        has_file = any(next(root.glob(pattern), None) is not None for pattern in self.device_files)
        paths = [path for reader in self.readers for path in reader.other_paths]
        return has_file or any(shutil.which(tool) for tool in (*self.tools, *paths))
