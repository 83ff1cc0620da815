"""The one way to program devices of every kind: a record of what differs between them.

A worker asks its backend for the torch device, the collective library and the precision, and never names one itself; so the
same worker, and the same job file, run on every kind of device. Vendors' records are in `compute/backends/`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bedplate.core.errors import UnavailableError


class SupportLevel(enum.StrEnum):
    """How far a vendor's devices were really tried."""

    PARSED = "parsed"
    """What its tools print is understood, in the formats that the tests hold; nothing ran on such a device. A job gets one only
    where it asks for it by name.
    """
    LAUNCHED = "launched"
    """A job ran on such a device."""
    MEASURED = "measured"
    """Such a device was measured, with results in `docs/results/`."""


class WordForm(enum.StrEnum):
    """What stands in a visibility variable."""

    INDEX = "index"
    """Numbers, `0,3`: positions in the driver's order."""
    UUID = "uuid"
    """Identifiers, `GPU-8a56…`, that mean the same in every process."""


WIDER: Mapping[str, tuple[str, ...]] = {
    "fp4": ("fp8", "bf16", "fp16", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"),
    "int8": ("bf16", "fp16", "fp32"),
    "bf16": ("fp16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "tf32": ("fp32",),
    "fp32": (),
}
"""What a job computes in where its device does not have what it wants, the nearest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """How a kind of device is programmed."""

    name: str
    """`nvidia`, `huawei`, `cpu` …"""
    vendor: str
    """`Device.vendor` of the devices that it is for; `cpu` for processors of any make."""
    device_kinds: tuple[str, ...] = ()
    """`Device.kind` of these devices; empty: all of the vendor's."""
    torch_device: str
    """Type of `torch.device`: `cuda`, `npu` …"""
    torch_plugin: str = ""
    """Module whose import teaches torch the device and its collectives: `torch_npu`. Empty: torch itself knows them."""
    collectives: str
    """Backend of `torch.distributed` for tensors on the device: `nccl`, `hccl` …"""
    interface_variable: str = ""
    """Variable that names the network interfaces of that library; gloo's is always `GLOO_SOCKET_IFNAME`."""
    visibility_variable: str = ""
    """Variable that limits a process to some devices. Empty: it sees all."""
    visibility_form: WordForm = WordForm.INDEX
    precisions: tuple[str, ...] = ("fp32",)
    """What all of its devices compute in; `DeviceRuntime.precisions` says more of a single one."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that a process on such a device starts with."""
    image: str = ""
    """Container image with the vendor's torch, as its documentation names it: a hint for people."""
    support: SupportLevel = SupportLevel.PARSED
    is_emulated: bool = False
    """Stand-in hardware: what is measured on it is `emulated`."""
    source: str = ""
    """Where the record comes from."""

    @property
    def process_group(self) -> str:
        """What `torch.distributed.init_process_group` is told: tensors in host memory always go over gloo."""
        if self.torch_device == "cpu":
            return f"cpu:{self.collectives}"
        return f"cpu:gloo,{self.torch_device}:{self.collectives}"

    def precision(self, wanted: str, program: Sequence[str], device: Sequence[str] = ()) -> str:
        """What a program computes in on a device.

        Args:
            wanted: What the job asks for: `bf16`.
            program: What the program can compute in.
            device: What the device can; empty where nobody knows.

        Returns:
            `wanted`, or the nearest precision in its place that both can.

        Raises:
            UnavailableError: There is none.
        """
        able = tuple(device) or self.precisions
        for name in (wanted, *WIDER[wanted]):
            if name in program and name in able:
                return name
        raise UnavailableError(
            f"no precision in the place of {wanted} on a device of '{self.name}'",
            seen=f"the device computes in {', '.join(able)}, the program in {', '.join(program)}",
            expected=" or ".join((wanted, *WIDER[wanted])),
        )
