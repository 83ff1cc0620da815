from pathlib import Path

import pytest

from bedplate.compute.capabilities.capability import PRECISIONS, Capability
from bedplate.compute.capabilities.table import CapabilityTable, published, read_figures, table_with
from bedplate.compute.inventory.registry import VENDORS
from bedplate.core.errors import ConfigurationError, NotFoundError

OWN = """\
vendor: acme
prefixes: [Acme]
models:
  - model: X1
    family: X
    generation: One
    year: 2025
    memory: 16GiB
    memory_bandwidth: 1TB/s
    tflops: {fp32: 10, bf16: null}
    watts: 100
    source: a test
    patterns: ['X1-[0-9]+GB']
"""


def own(tmp_path: Path, text: str = OWN) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    return file


def found(printed: str, vendor: str | None = None) -> str | None:
    model = published().find(printed, vendor)
    return None if model is None else model.model


@pytest.mark.parametrize(
    ("printed", "vendor", "model"),
    [
        ("NVIDIA A100-SXM4-80GB", "nvidia", "A100-SXM4-80GB"),
        ("A100-SXM4-80GB", "nvidia", "A100-SXM4-80GB"),
        ("NVIDIA A100 80GB PCIe", "nvidia", "A100 80GB PCIe"),
        ("Tesla V100-SXM2-32GB", "nvidia", "V100-SXM2-32GB"),
        ("Tesla T4", "nvidia", "T4"),
        ("NVIDIA GeForce RTX 4090", "nvidia", "RTX 4090"),
        ("NVIDIA H100 80GB HBM3", "nvidia", "H100 80GB HBM3"),
        ("AMD Instinct MI300X", "amd", "MI300X"),
        ("AMD INSTINCT MI250X (MCM) OAM AC MBA", "amd", "MI250X"),
        ("910B3", "huawei", "910B3"),
        ("Ascend910B3", "huawei", "910B3"),
        ("Ascend910_9392", "huawei", "910C"),
        ("310P3", "huawei", "310P3"),
        ("BW200, UBB BW1000", "hygon", "BW1000"),
        ("MLU370-X8", "cambricon", "MLU370-X8"),
        ("MLU590-M9", "cambricon", "MLU590"),
        ("MetaX C500", "metax", "C500"),
        ("MTT S4000", "moore-threads", "S4000"),
        ("Iluvatar BI-V150", "iluvatar", "BI-V150"),
        ("P800 OAM", "kunlunxin", "P800"),
        ("Intel(R) Data Center GPU Max 1550", "intel", "Data Center GPU Max 1550"),
        ("Intel(R) Arc(TM) B580 Graphics", "intel", "Arc B580"),
        ("HL-325L", "intel", "Gaudi 3"),
    ],
)
def test_what_tools_print_is_found(printed: str, vendor: str, model: str) -> None:
    assert found(printed, vendor) == found(printed) == model


@pytest.mark.parametrize("printed", ["A1000", "A100", "H100-SXM5-80GB-X", "NVIDIA", "9100", "MI300", "", "RTX 4090 D"])
def test_a_similar_name_is_not_taken_for_a_known_one(printed: str) -> None:
    assert found(printed) is None


@pytest.mark.parametrize(("memory_gib", "model"), [(31, "910A"), (64, "910C"), (61.5, "910C"), (48, None), (None, None)])
def test_memory_decides_between_models_of_one_spelling(memory_gib: float | None, model: str | None) -> None:
    memory_bytes = None if memory_gib is None else int(memory_gib * 2**30)
    found_model = published().find("Ascend 910", "huawei", memory_bytes)
    assert (found_model.model if found_model else None) == model


def test_memory_decides_nothing_else() -> None:
    assert published().find("910B3", "huawei", 2**30) is published().find("910B3")


def test_a_spelling_belongs_to_its_vendor() -> None:
    assert found("BW1000", "hygon") == "BW1000"
    assert found("BW1000", "nvidia") is None


def test_a_request_names_a_model_or_a_family() -> None:
    assert [model.model for model in published().wanted("910b")] == ["910B1", "910B2", "910B3", "910B4", "910B4-1"]
    assert [model.model for model in published().wanted("H100 PCIe")] == ["H100 PCIe"]
    with pytest.raises(NotFoundError, match="no published figures") as caught:
        published().wanted("H1000")
    assert "H100" in str(caught.value.next_step)


def test_every_vendor_that_we_know_has_figures() -> None:
    assert {model.vendor for model in published().models} >= {vendor.name for vendor in VENDORS} - {"cpu", "emulated"}


@pytest.mark.parametrize("model", published().models, ids=lambda model: f"{model.vendor}:{model.model}")
def test_an_entry_is_plausible_and_has_a_source(model: Capability) -> None:
    assert len(model.source) > 10
    assert 2010 < model.year <= 2026
    assert model.memory is None or 8 * 2**30 <= model.memory <= 2**39
    assert model.memory_bandwidth is None or 100e9 < model.memory_bandwidth < 20e12
    assert model.watts is None or 50 < model.watts < 2000
    assert found(model.model, model.vendor) == model.model
    narrower = [rate for name in PRECISIONS if name in model.tflops and (rate := model.tflops[name]) is not None]
    assert all(4 < rate < 20_000 for rate in narrower)
    wide, narrow = model.peak_flops("fp32"), model.peak_flops("fp16")
    assert wide is None or narrow is None or wide < narrow


def test_old_cards_do_not_compute_in_bf16() -> None:
    for name in ("P100-PCIE-16GB", "V100-SXM2-16GB", "T4", "910A"):
        (model,) = published().wanted(name) if name == "T4" else [published().find(name)]
        assert model is not None
        assert "bf16" not in model.precisions
        assert "fp16" in model.precisions


def test_people_add_models_in_a_file_of_their_own(tmp_path: Path) -> None:
    model = table_with([own(tmp_path)]).find("Acme x1-16gb", "acme")
    assert model is not None
    assert (model.vendor, model.memory, model.peak_flops("fp32"), model.peak_flops("bf16")) == ("acme", 16 * 2**30, 10e12, None)
    assert model.precisions == ("fp32", "bf16")


def test_a_spelling_twice_is_refused(tmp_path: Path) -> None:
    figures = read_figures(own(tmp_path))
    with pytest.raises(ConfigurationError, match="two models"):
        CapabilityTable([figures, read_figures(own(tmp_path, OWN.replace("family: X", "family: Y")))])


CONFIRMED = OWN.replace("models:", "read:\n  sheet: the datasheet, page 3\nmodels:")


def confirmed(tmp_path: Path, names: str) -> Capability:
    (model,) = read_figures(own(tmp_path, f"{CONFIRMED}    confirmed: {{sheet: [{names}]}}\n")).models
    return model


def test_a_figure_that_nobody_looked_up_is_unconfirmed(tmp_path: Path) -> None:
    (model,) = read_figures(own(tmp_path)).models
    assert model.unconfirmed == model.figures == ("memory", "memory_bandwidth", "watts", "fp32")


def test_a_figure_is_confirmed_by_what_was_read(tmp_path: Path) -> None:
    model = confirmed(tmp_path, "watts, fp32")
    assert model.unconfirmed == ("memory", "memory_bandwidth")
    assert model.read_in("fp32") == ("the datasheet, page 3",)
    assert model.read_in("memory") == ()
    assert confirmed(tmp_path, "all").unconfirmed == ()


def test_only_figures_that_an_entry_has_can_be_confirmed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'X1' confirms a figure that it does not have.*bf16.*memory"):
        confirmed(tmp_path, "bf16")


def test_what_was_read_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not have: 'shet'.*own\.yaml.*sheet"):
        read_figures(own(tmp_path, f"{CONFIRMED}    confirmed: {{shet: [watts]}}\n"))


def test_rates_are_dense() -> None:
    for name, bf16 in (("A100-SXM4-80GB", 312e12), ("H100 80GB HBM3", 989.4e12), ("H100 PCIe", 756e12), ("L40S", 362e12)):
        model = published().find(name)
        assert model is not None
        assert model.peak_flops("bf16") == bf16
        assert "bf16" not in model.unconfirmed


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("watts: 100", "wats: 100", "wats"),
        ("fp32: 10", "fp23: 10", "fp23"),
        ("fp32: 10", "fp32: -1", "fp32"),
        ("year: 2025", "year: soon", "year"),
        ("16GiB", "16 parsec", "memory"),
        ("[0-9]+GB'", "[0-9+GB'", "regular expression"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_figures(own(tmp_path, OWN.replace(old, new)))
