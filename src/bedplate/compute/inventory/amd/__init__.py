"""AMD Instinct and Radeon: by `amd-smi`, else `rocm-smi`, else what the kernel's driver shows in sysfs.

Devices are named `hip:N` by ROCm's number. There is no library probe: `amd-smi` is the command line of the amdsmi library and
prints the same. Sources: AMD SMI and ROCm SMI documentation; "AMD Instinct RAS" in the kernel's amdgpu documentation.
"""

from __future__ import annotations

from pathlib import Path

from bedplate.compute.inventory.amd.amd_smi import AMD_SMI
from bedplate.compute.inventory.amd.rocm_smi import ROCM_SMI
from bedplate.compute.inventory.amd.sysfs import read_sysfs
from bedplate.compute.inventory.base import HealthCode, TroubleKind, Vendor
from bedplate.compute.inventory.tools.probe import ToolProbe, path_of
from bedplate.core.devices import Device, HealthState
from bedplate.core.errors import BedplateError

_RESET = "drain the node and reset the GPU (amd-smi reset --gpureset); replace it if it returns"

VENDOR = Vendor(
    name="amd",
    title="AMD Instinct, Radeon",
    device_prefix="hip",
    probe="bedplate.compute.inventory.amd:AmdProbe",
    device_files=("dev/kfd",),
    tools=("amd-smi", "rocm-smi"),
    readers=(AMD_SMI, ROCM_SMI),
    visibility_variable="HIP_VISIBLE_DEVICES",
    cdi_kind="amd.com/gpu",
    precisions={
        "gfx906": ("fp16", "int8"),
        "gfx908": ("fp16", "bf16", "int8"),
        "gfx90a": ("fp16", "bf16", "int8"),
        "gfx942": ("fp16", "bf16", "tf32", "int8", "fp8"),
        "gfx950": ("fp16", "bf16", "int8", "fp8", "fp4"),
        "gfx1100": ("fp16", "bf16", "int8"),
        "gfx1201": ("fp16", "bf16", "int8", "fp8"),
    },
    health_codes={
        "RAS UE": HealthCode(state=HealthState.FAILED, meaning="uncorrectable error", next_step=_RESET),
        "RAS deferred": HealthCode(
            state=HealthState.DEGRADED, meaning="poisoned memory that nothing has read yet", next_step=_RESET
        ),
    },
)


class AmdProbe:
    """GPUs of this machine."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root, self._tools = root, ToolProbe(VENDOR)
        self.troubles: list[tuple[TroubleKind, str]] = []

    def is_present(self) -> bool:
        """Whether there is one of the tools, or the compute driver."""
        return self._tools.is_present() or (self._root / "dev/kfd").exists()

    def devices(self) -> tuple[Device, ...]:
        """By the first tool that works; what sysfs says where there is no tool, or none that works.

        Raises:
            BedplateError: The tools do not work, and sysfs shows no GPU either.
        """
        try:
            found = self._tools.devices() if any(path_of(reader) for reader in VENDOR.readers) else ()
        except BedplateError as error:
            if not (found := read_sysfs(VENDOR, self._root)):
                raise
            self.troubles = [("broken", str(error))]
            return found
        self.troubles = list(self._tools.troubles)
        return found or read_sysfs(VENDOR, self._root)
