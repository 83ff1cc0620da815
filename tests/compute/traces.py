"""Traces of the shape of openb's, drawn: a few node kinds, shares that do not divide a device, requests bound to a model."""

import csv
import random
from pathlib import Path

from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass

KINDS = (("A", 8, 96_000, 393_216), ("B", 2, 104_000, 524_288), ("C", 2, 16_000, 122_880), ("D", 4, 32_000, 131_072))
NEEDS = (
    (30, RequestClass(cpu_milli=11_300, memory_mib=49_152, num_devices=1, share_milli=WHOLE)),
    (12, RequestClass(cpu_milli=3_152, memory_mib=16_384, num_devices=1, share_milli=WHOLE)),
    (16, RequestClass(cpu_milli=3_152, memory_mib=12_288, num_devices=1, share_milli=780)),
    (12, RequestClass(cpu_milli=8_000, memory_mib=30_517, num_devices=1, share_milli=480)),
    (6, RequestClass(cpu_milli=11_908, memory_mib=45_100, num_devices=1, share_milli=640)),
    (6, RequestClass(cpu_milli=4_000, memory_mib=15_000, num_devices=1, share_milli=330)),
    (3, RequestClass(cpu_milli=4_000, memory_mib=15_000, num_devices=1, share_milli=170)),
    (2, RequestClass(cpu_milli=64_200, memory_mib=262_144, num_devices=8, share_milli=WHOLE)),
    (4, RequestClass(cpu_milli=6_000, memory_mib=12_288, num_devices=1, share_milli=WHOLE, models=("B",))),
    (12, RequestClass(cpu_milli=12_500, memory_mib=57_344)),
)


def make_nodes(count: int = 60) -> list[Node]:
    kinds = [KINDS[at % len(KINDS)] for at in range(count)]
    return [
        Node(name=f"node-{at:04}", cpu_milli=cpu, memory_mib=memory, num_devices=devices, model=model)
        for at, (model, devices, cpu, memory) in enumerate(kinds)
    ]


def make_pods(count: int = 400, seed: int = 1, without: tuple[str, ...] = ()) -> list[tuple[str, RequestClass]]:
    """`without` leaves out what asks for those models."""
    needs = [(weight, need) for weight, need in NEEDS if not set(need.models) & set(without)]
    drawn = random.Random(seed).choices([need for _, need in needs], [weight for weight, _ in needs], k=count)
    return [(f"pod-{at:04}", need) for at, need in enumerate(drawn)]


def write_traces(folder: Path, nodes: list[Node], pods: list[tuple[str, RequestClass]]) -> tuple[Path, Path]:
    with (folder / "nodes.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("sn", "cpu_milli", "memory_mib", "gpu", "model"))
        writer.writerows((node.name, node.cpu_milli, node.memory_mib, node.num_devices, node.model) for node in nodes)
    with (folder / "pods.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"))
        writer.writerows(
            (name, need.cpu_milli, need.memory_mib, need.num_devices, need.share_milli, "|".join(need.models))
            for name, need in pods
        )
    return folder / "nodes.csv", folder / "pods.csv"
