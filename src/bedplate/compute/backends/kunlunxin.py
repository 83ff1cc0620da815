"""Kunlunxin: torch_xmlir gives torch a `cuda` that is the XPU; its `nccl` is XCCL (BKCL)."""

from __future__ import annotations

from bedplate.core.backends import Backend

BACKEND = Backend(
    name="kunlunxin",
    vendor="kunlunxin",
    torch_device="cuda",
    torch_plugin="torch_xmlir",
    collectives="nccl",
    interface_variable="BKCL_SOCKET_IFNAME",
    visibility_variable="XPU_VISIBLE_DEVICES",
    precisions=("fp32", "fp16"),
    source="FlagScale and vLLM-Kunlun: how they start P800",
)
