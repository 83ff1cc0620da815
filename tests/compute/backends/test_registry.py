import pytest

from bedplate.compute.backends.prepare import prepared
from bedplate.compute.backends.registry import BACKENDS, OWN_VARIABLE, backend, backend_for, backends
from bedplate.compute.inventory.base import Vendor
from bedplate.compute.inventory.registry import VENDORS
from bedplate.core.backends import WIDER, Backend, SupportLevel
from bedplate.core.devices import Device
from bedplate.core.errors import UnavailableError, UsageError


def device(vendor: str, model: str = "Card 1", kind: str = "gpu", features: tuple[str, ...] = ()) -> Device:
    return Device(id="x:0", kind=kind, vendor=vendor, model=model, memory_bytes=2**34, features=features)


def test_every_vendor_that_the_inventory_knows_has_a_backend() -> None:
    assert {vendor.name for vendor in VENDORS} <= {item.vendor for item in BACKENDS}


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor.visibility_variable], ids=lambda vendor: vendor.name)
def test_backend_and_inventory_agree_on_the_visibility_variable(vendor: Vendor) -> None:
    assert vendor.visibility_variable in {item.visibility_variable for item in BACKENDS if item.vendor == vendor.name}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_backend_and_inventory_agree_on_how_far_a_vendor_was_tried(vendor: Vendor) -> None:
    assert {item.support for item in BACKENDS if item.vendor == vendor.name} == {vendor.support}


@pytest.mark.parametrize("item", BACKENDS, ids=lambda item: item.name)
def test_a_record_says_where_it_comes_from(item: Backend) -> None:
    assert item.source
    assert set(item.precisions) <= set(WIDER)
    assert "fp32" in item.precisions
    assert item.process_group.startswith("cpu:")


def test_only_what_was_tried_here_claims_more_than_parsing() -> None:
    assert {item.name for item in BACKENDS if item.support is not SupportLevel.PARSED} == {"cpu", "emulated"}


def test_tensors_in_host_memory_go_over_gloo() -> None:
    assert backend("cpu").process_group == "cpu:gloo"
    assert backend("nvidia").process_group == "cpu:gloo,cuda:nccl"
    assert backend("huawei").process_group == "cpu:gloo,npu:hccl"
    assert backend("emulated").process_group == "cpu:altccl"


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (device("amd", kind="cpu"), "cpu"),
        (device("amd"), "amd"),
        (device("intel"), "intel"),
        (device("intel", kind="npu"), "intel-gaudi"),
        (device("moore-threads"), "moore-threads"),
    ],
)
def test_a_device_finds_its_backend(found: Device, name: str) -> None:
    chosen = backend_for(found)
    assert chosen is not None
    assert chosen.name == name


def test_a_device_of_an_unknown_vendor_has_none() -> None:
    assert backend_for(device("a vendor")) is None
    assert prepared([device("a vendor")])[0].runtime.backend == ""


def test_people_add_backends_by_their_dotted_path() -> None:
    environment = {OWN_VARIABLE: "tests.compute.backends.own_backend:BACKEND"}
    assert backend("secret", environment).environment == {"SECRET_MODE": "7"}
    chosen = backend_for(device("secret"), environment)
    assert chosen is not None
    assert chosen.name == "secret"
    assert "secret" not in backends({})


@pytest.mark.parametrize(
    "word", ["nowhere:X", "tests.compute.backends.own_backend:NOT_ONE", "tests.compute.backends.own_backend"]
)
def test_what_is_no_backend_is_refused_by_name(word: str) -> None:
    with pytest.raises(UsageError, match="names no backend") as caught:
        backends({OWN_VARIABLE: word})
    assert word in str(caught.value)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no backend"):
        backend("nvida")


@pytest.mark.parametrize(
    ("model", "vendor", "features", "taken"),
    [
        ("Tesla V100-SXM2-32GB", "nvidia", ("sm_70", "fp16"), "fp32"),
        ("NVIDIA A100-SXM4-80GB", "nvidia", ("sm_80", "fp16", "bf16", "tf32", "int8"), "bf16"),
        ("910A", "huawei", (), "fp32"),
        ("910B3", "huawei", (), "bf16"),
        ("MLU370-X8", "cambricon", (), "bf16"),
        ("Emulated CPU", "emulated", (), "fp32"),
    ],
)
def test_a_program_without_fp16_trains_in_the_nearest_precision_of_the_device(
    model: str, vendor: str, features: tuple[str, ...], taken: str
) -> None:
    (ready,) = prepared([device(vendor, model, features=features)])
    assert backend(ready.runtime.backend).precision("bf16", ("bf16", "fp32"), ready.runtime.precisions) == taken


def test_a_program_with_fp16_uses_it_on_old_cards() -> None:
    (v100,) = prepared([device("nvidia", "Tesla V100-SXM2-32GB", features=("sm_70", "fp16"))])
    assert backend("nvidia").precision("bf16", ("bf16", "fp16", "fp32"), v100.runtime.precisions) == "fp16"


def test_no_precision_in_common_is_an_error_that_names_both() -> None:
    with pytest.raises(UnavailableError, match="in the place of fp32") as caught:
        backend("cpu").precision("fp32", ("bf16",), ("fp32",))
    assert "fp32" in str(caught.value)


def test_the_processors_are_programmed_as_before() -> None:
    (cpu,) = prepared([device("amd", "AMD EPYC", "cpu", ("avx2",))])
    assert (cpu.runtime.backend, dict(cpu.runtime.environment)) == ("cpu", {})
    for wanted in ("bf16", "fp32"):
        assert backend("cpu").precision(wanted, ("bf16", "fp32"), cpu.runtime.precisions) == wanted
