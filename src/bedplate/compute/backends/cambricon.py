"""Cambricon MLU: torch_mlu and CNCL."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="cambricon",
    vendor="cambricon",
    torch_device="mlu",
    torch_plugin="torch_mlu",
    collectives="cncl",
    interface_variable="CNCL_SOCKET_IFNAME",
    visibility_variable="MLU_VISIBLE_DEVICES",
    precisions=("fp32", "fp16"),
    source="cambricon.com: Cambricon PyTorch user guide",
)
