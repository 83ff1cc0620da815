import pytest

from bedplate.app.pipeline.contract.accelerators import device_choices, is_emulated
from bedplate.compute.backends.prepare import prepared
from bedplate.core.devices import Device, Node
from bedplate.core.errors import ResourcesError


def node(*models: tuple[str, str]) -> Node:
    devices = [Device(id="cpu:0", kind="cpu", vendor="amd", model="EPYC", memory_bytes=2**34, cores=(0, 1))]
    devices += [
        Device(id=f"x:{number}", kind="gpu", vendor=vendor, model=model, memory_bytes=2**34)
        for number, (vendor, model) in enumerate(models)
    ]
    return Node(id="n", devices=prepared(devices), memory_bytes=2**34)


MIXED = node(("nvidia", "NVIDIA A100-SXM4-80GB"), ("huawei", "910B3"), ("emulated", "Emulated CPU"))


def models(accelerator: str, *nodes: Node) -> list[str]:
    return [choice.model for choice in device_choices((accelerator,), nodes)]


def test_any_takes_kinds_that_were_tried_before_processors_and_no_others() -> None:
    assert models("any", MIXED) == ["Emulated CPU", ""]
    assert models("any", node(("nvidia", "H100 PCIe"))) == [""]


def test_cpu_means_processors_only() -> None:
    assert models("cpu", MIXED) == [""]


@pytest.mark.parametrize("word", ["910B3", "910b", "huawei", "Ascend910B3"])
def test_a_kind_is_named_by_model_family_vendor_or_spelling(word: str) -> None:
    assert models(word, MIXED) == ["910B3"]


def test_a_family_may_be_several_models_the_most_frequent_first() -> None:
    pcie, sxm = ("nvidia", "NVIDIA A100 80GB PCIe"), ("nvidia", "NVIDIA A100-SXM4-80GB")
    assert models("A100", node(pcie), node(sxm, sxm)) == [sxm[1], pcie[1]]


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(ResourcesError, match="no accelerator 'MI300X'") as caught:
        device_choices(("MI300X",), [MIXED])
    assert "910B3" in str(caught.value)


def test_a_choice_asks_for_one_accelerator_a_worker() -> None:
    (choice,) = device_choices(("910B3",), [MIXED])
    wanted = choice.resources(2)
    assert (wanted.cpus, wanted.accelerators, wanted.accelerator) == (2, 1, "910B3")
    assert device_choices(("cpu",), [MIXED])[0].resources(2).accelerators == 0


def test_only_stand_in_hardware_is_emulated() -> None:
    assert is_emulated(MIXED.devices)
    assert not is_emulated(device for device in MIXED.devices if device.vendor != "emulated")
