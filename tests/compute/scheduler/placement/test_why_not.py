"""Which filter rejects which node, and what is short there."""

import numpy as np

from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.scheduler.placement.why_not import Filter, why_not


def node(name: str, devices: int = 4, model: str = "A", cpu: int = 16_000, memory: int = 1_000, leaf: str = "l") -> Node:
    return Node(name=name, cpu_milli=cpu, memory_mib=memory, num_devices=devices, model=model, path=(leaf,))


def need(
    devices: int = 2, cpu: int = 8_000, memory: int = 100, models: tuple[str, ...] = (), share: int = WHOLE
) -> RequestClass:
    return RequestClass(
        cpu_milli=cpu, memory_mib=memory, num_devices=devices, share_milli=share if devices else 0, models=models
    )


def test_each_node_is_counted_under_the_first_filter_that_rejects_it() -> None:
    names = (
        "drained",
        "reserved",
        "other model",
        "few devices",
        "little cpu",
        "no cpu left",
        "no memory left",
        "taken",
        "fits",
    )
    cluster = Cluster(
        [
            node("drained"),
            node("reserved"),
            node("other model", model="B"),
            node("few devices", devices=1),
            node("little cpu", cpu=4_000),
            *(node(name) for name in names[5:]),
        ]
    )
    wanted = cluster.class_of(need(models=("A",)))
    cluster.set_usable(0, False)
    cluster.place(5, cluster.class_of(need(0, cpu=9_000)))
    cluster.place(6, cluster.class_of(need(0, cpu=0, memory=950)))
    for device in (0, 1, 2):
        cluster.place(7, cluster.class_of(need(1, cpu=1, share=100)), device)
    gone = cluster.add_node(node("gone"))
    cluster.remove_node(gone)
    reserved = np.ones(len(cluster.nodes), bool)
    reserved[1] = False
    answer = why_not(cluster, wanted, {"reserved": reserved})
    assert {cluster.nodes[at].name: reason for at, reason in answer.filter_of.items()} == {
        "drained": Filter.UNUSABLE,
        "reserved": "reserved",
        "other model": Filter.MODEL,
        "few devices": Filter.SIZE,
        "little cpu": Filter.SIZE,
        "no cpu left": Filter.CPU,
        "no memory left": Filter.MEMORY,
        "taken": Filter.DEVICES,
    }
    assert answer.num_fitting == 1
    assert answer.counts[Filter.SIZE] == 2 and sum(answer.counts.values()) == 8
    assert str(answer).startswith("1 of 9 nodes fit; too small: 2, ")
    texts = [answer.text(at) for at in range(len(names))]
    assert texts[2] == "other model: has 4 x B, A is needed"
    assert texts[5] == "no cpu left: 7000 of 16000 mCPU are free, 8000 needed"
    assert texts[7] == "taken: free on its devices: [900, 900, 900, 1000], 2 x 1000/1000 needed"
    assert texts[8] == "fits: it fits"
    assert all(text.startswith(f"{name}: ") for name, text in zip(names, texts, strict=True))
