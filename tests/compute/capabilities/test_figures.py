import pytest

from bedplate.compute.capabilities.figures import DeviceFigures, figures_of, memory_of
from bedplate.compute.capabilities.roofline import JOB_KINDS, JobKind, attainable, kind_of, precision_on
from bedplate.compute.capabilities.table import published
from bedplate.core.devices import DECLARED, Device, DeviceRates
from bedplate.core.errors import UsageError
from bedplate.core.measurement import Provenance


def device(model: str, vendor: str = "nvidia", rates: DeviceRates | None = None, kind: str = "gpu") -> Device:
    return Device(id="x:0", kind=kind, vendor=vendor, model=model, memory_bytes=2**34, measured=rates or DeviceRates())


def test_published_figures_say_so_and_name_their_source() -> None:
    known = figures_of(device("NVIDIA A100-SXM4-80GB"))
    assert known.flops["bf16"].value == 312e12
    assert {figure.provenance for figure in known.flops.values()} == {Provenance.PUBLISHED}
    assert "A100" in known.flops["bf16"].source
    assert known.note == ""


def test_a_figure_says_what_it_was_read_in_or_that_it_was_in_nothing() -> None:
    known = figures_of(device("H200 NVL"))
    assert known.watts is not None
    assert (known.watts.is_confirmed, known.flops["bf16"].is_confirmed) == (True, False)
    assert "; read in " in known.watts.source
    assert "unconfirmed" not in known.watts.as_json()
    assert known.flops["bf16"].as_json()["unconfirmed"] is True


def test_what_was_measured_comes_before_what_is_published() -> None:
    rates = DeviceRates(matmul_flops={"bf16": 250e12, "fp32": 18e12}, memory_bandwidth_bytes_per_s=1.6e12, disturbed=("fp32",))
    known = figures_of(device("A100-SXM4-80GB", rates=rates))
    assert (known.flops["bf16"].value, known.flops["bf16"].provenance) == (250e12, Provenance.MEASURED)
    assert (known.flops["fp32"].value, known.flops["fp32"].provenance) == (19.5e12, Provenance.PUBLISHED)
    assert known.memory_bandwidth_bytes_per_s is not None
    assert known.memory_bandwidth_bytes_per_s.provenance is Provenance.MEASURED


def test_an_unknown_model_works_from_what_was_measured_and_says_so() -> None:
    rates = DeviceRates(matmul_flops={"fp32": 1e12, "bf16": 4e12, "int8": None}, memory_bandwidth_bytes_per_s=1e11)
    known = figures_of(device("Secret 9000", rates=rates))
    assert known.precisions == ("fp32", "bf16")
    assert "measured on it" in known.note
    assert attainable(kind_of("training"), known) is not None


def test_an_unknown_model_that_nobody_measured_has_no_figures() -> None:
    known = figures_of(device("Secret 9000"))
    assert not known.flops
    assert "none were measured" in known.note


def test_a_cpu_is_not_looked_up_by_its_maker() -> None:
    rates = DeviceRates(matmul_flops={"fp32": 2e11}, memory_bandwidth_bytes_per_s=9e10)
    assert figures_of(device("AMD EPYC", "amd", rates, "cpu")).flops["fp32"].provenance is Provenance.MEASURED


@pytest.mark.parametrize(
    ("model", "wanted", "taken"),
    [
        ("V100-SXM2-32GB", "bf16", "fp16"),
        ("T4", "bf16", "fp16"),
        ("A100-SXM4-80GB", "bf16", "bf16"),
        ("A100-SXM4-80GB", "fp8", "bf16"),
        ("V100-SXM2-32GB", "int8", "fp16"),
        ("H100 PCIe", "fp4", "fp8"),
        ("P100-PCIE-16GB", "tf32", "fp32"),
    ],
)
def test_a_precision_falls_back(model: str, wanted: str, taken: str) -> None:
    found = published().find(model)
    assert found is not None
    assert precision_on(wanted, found.precisions) == taken


def known(model: str) -> DeviceFigures:
    return figures_of(device(model))


def test_the_roofline_is_that_of_the_peak_or_of_the_memory_at_its_ends() -> None:
    a100 = known("A100-SXM4-80GB")
    dense = attainable(JobKind(name="x", precision="bf16", operations_per_byte=1e9, why="a test"), a100)
    thin = attainable(JobKind(name="x", precision="bf16", operations_per_byte=1e-3, why="a test"), a100)
    assert dense is not None
    assert thin is not None
    assert dense.operations_per_s == pytest.approx(312e12, rel=1e-3)
    assert thin.operations_per_s == pytest.approx(2.039e9, rel=1e-3)


def test_decoding_follows_memory_and_training_follows_arithmetic() -> None:
    def ratio(kind: str) -> float:
        fast, slow = attainable(JOB_KINDS[kind], known("H20")), attainable(JOB_KINDS[kind], known("A100-SXM4-80GB"))
        assert fast is not None
        assert slow is not None
        return fast.operations_per_s / slow.operations_per_s

    assert ratio("training") < 0.6
    assert ratio("decode") > 1.2


def test_a_model_without_a_figure_that_a_job_takes_has_no_estimate() -> None:
    assert attainable(kind_of("training"), figures_of(device("BW1000", "hygon"))) is None


def test_an_unknown_kind_of_job_is_refused() -> None:
    with pytest.raises(UsageError, match="no kind of job"):
        kind_of("trianing:llama")


def declared(model: str) -> Device:
    """As a cluster manager names it, without a word about its memory."""
    return Device(id="gpu:0", kind="gpu", vendor=DECLARED, model=model, memory_bytes=0)


def test_a_declared_family_has_the_lowest_figures_of_its_models() -> None:
    models = published().wanted("A100")
    figures = figures_of(declared("A100"))
    memory = memory_of(declared("A100"))
    assert memory is not None
    assert memory.value == min(model.memory or 0 for model in models)
    assert figures.flops["bf16"].value == min(model.peak_flops("bf16") or 0.0 for model in models)
    assert figures.watts is not None
    assert figures.watts.value == max(model.watts or 0.0 for model in models), "of power, the most"
    assert "any of" in figures.note


def test_a_declared_model_is_that_of_any_vendor() -> None:
    figures = figures_of(declared("H200"))
    assert figures.watts is not None
    assert figures.note == ""


def test_what_a_device_says_of_its_memory_comes_first() -> None:
    memory = memory_of(Device(id="cuda:0", kind="gpu", vendor="nvidia", model="H200", memory_bytes=10**9))
    assert memory is not None
    assert (memory.value, memory.provenance) == (10**9, Provenance.MEASURED)


def test_a_family_is_not_guessed_for_a_device_that_a_tool_lists() -> None:
    assert memory_of(Device(id="cuda:0", kind="gpu", vendor="nvidia", model="A100", memory_bytes=0)) is None
