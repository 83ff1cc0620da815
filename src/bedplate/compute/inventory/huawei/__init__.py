"""Huawei Ascend NPUs, by what `npu-smi` prints.

Devices are named `npu:N` by the runtime's logical number, which ASCEND_RT_VISIBLE_DEVICES takes too. A chip (die) is a
device: an Ascend 910C or a 310 Duo card has two, with the same `address.board`. Sources: npu-smi's own source in the public
Ascend driver repositories (`npu-smi info`, `info -m`, 910B, A3 and 950 layouts); the fault codes and their levels in the
configuration of Ascend's device plugin (MindCluster).
"""

from __future__ import annotations

from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.huawei.npu_smi import NPU_SMI
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.core.devices import HealthState

_ISOLATE = "take the NPU out of service and collect its logs (msnpureport); reset it, and replace it if the alarm returns"
_RESET = "let the job end or move it, then reset the NPU (npu-smi set -t reset)"
_CABLE = "check the optical module and the switch port"
_LOOK = "see the events of the NPU: npu-smi info -t health -i ID; the job may go on"

VENDOR = Vendor(
    name="huawei",
    title="Huawei Ascend",
    device_prefix="npu",
    device_kind="npu",
    probe="bedplate.compute.inventory.huawei:probe",
    device_files=("dev/davinci[0-9]*",),
    tools=("npu-smi",),
    readers=(NPU_SMI,),
    visibility_variable="ASCEND_RT_VISIBLE_DEVICES",
    precisions={
        "Ascend 310": ("fp16", "int8"),
        "Ascend 310P": ("fp16", "int8"),
        "Ascend 910": ("fp16", "int8"),
        "Ascend 910B": ("fp16", "bf16", "int8"),
        "Ascend 910C": ("fp16", "bf16", "int8"),
        "Ascend 950": ("fp16", "bf16", "int8", "fp8"),
    },
    health_codes={
        "Warning": HealthCode(state=HealthState.DEGRADED, meaning="a minor event on the NPU", next_step=_LOOK),
        "Alarm": HealthCode(state=HealthState.FAILED, meaning="a major fault of the NPU", next_step=_RESET),
        "Critical": HealthCode(state=HealthState.FAILED, meaning="a critical fault of the NPU", next_step=_ISOLATE),
        "Offline": HealthCode(state=HealthState.FAILED, meaning="the NPU is not on the bus", next_step=_RESET),
        "UNKNOWN": HealthCode(
            state=HealthState.UNKNOWN, meaning="the NPU does not answer: offline or starting", next_step=_LOOK
        ),
        "80E01801": HealthCode(
            state=HealthState.DEGRADED,
            meaning="uncorrectable error in on-chip memory",
            next_step="run a stress test of its memory",
        ),
        "80E18402": HealthCode(
            state=HealthState.FAILED, meaning="no spare row of on-chip memory is left", next_step="replace it"
        ),
        "80C98009": HealthCode(state=HealthState.DEGRADED, meaning="an AI core met an error on its bus", next_step=_RESET),
        "81078603": HealthCode(state=HealthState.DEGRADED, meaning="its network port has no link", next_step=_CABLE),
        "40F84E00": HealthCode(state=HealthState.FAILED, meaning="the NPU fell off the bus", next_step=_RESET),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
