"""NVIDIA: CUDA and NCCL, both in torch. bf16 from Ampere on, fp8 from Ada and Hopper on: the probe says which of a device."""

from __future__ import annotations

from bedplate.core.backends import Backend, WordForm

BACKEND = Backend(
    name="nvidia",
    vendor="nvidia",
    torch_device="cuda",
    collectives="nccl",
    interface_variable="NCCL_SOCKET_IFNAME",
    visibility_variable="CUDA_VISIBLE_DEVICES",
    visibility_form=WordForm.UUID,
    environment={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
    image="pytorch of NVIDIA NGC",
    source="CUDA programming guide, environment variables; NCCL user guide",
)
