"""Every id that bedplate emits is registered with one base unit, and only the builder makes measurements."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bedplate
from bedplate.core.errors import UsageError
from bedplate.core.measurement import Measurement, Provenance, measured
from bedplate.core.measures import MEASURES, Measure, measure_of, register_measures

SOURCE = Path(bedplate.__file__).parent
SUFFIX_UNITS = {
    "_bytes_per_s": "bytes/s",
    "_tokens_per_s": "tokens/s",
    "_requests_per_s": "requests/s",
    "_bytes": "bytes",
    "_s": "s",
    "_frac": "frac",
    "_ratio": "ratio",
    "_flops": "flops",
}


def build(values: dict[str, float | None], busy_frac: float | None = None) -> tuple[Measurement, ...]:
    return measured(
        values, provenance=Provenance.MEASURED, hardware="h", scale="", source="test", at_s=1.0, busy_frac=busy_frac
    )


def literals(file: Path) -> Iterator[str]:
    """Strings of a file; what an f-string fills in is `{}`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_an_unknown_id_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as raised:
        build({"tokens_per_sec": 1.0})
    assert raised.value.next_step == "did you mean 'tokens_per_s'?"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ppl_int8", "perplexity"),
        ("ppl_before", "perplexity"),
        ("ppl_rise_int8_frac", "frac"),
        ("kl_to_base_int4_sparse", "nats"),
        ("serve_ttft_p99_s_kv_on", "s"),
        ("network_ecmp_collective_s", "s"),
    ],
)
def test_the_unit_comes_from_the_registry(name: str, unit: str) -> None:
    assert build({name: 2})[0].unit == unit


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.id)
def test_a_unit_agrees_with_the_suffix_of_the_id(measure: Measure) -> None:
    suffix = next((suffix for suffix in SUFFIX_UNITS if f"_{measure.id}".endswith(suffix)), None)
    if suffix is None:
        assert not re.search(r"_(ms|us|kb|mb|gb|pct|seconds)(_|$)", measure.id), "base units only"
    else:
        assert measure.unit == SUFFIX_UNITS[suffix]


def test_each_registered_id_has_a_producer() -> None:
    found = {text for file in SOURCE.rglob("*.py") if file.name != "measures.py" for text in literals(file)}
    unproduced = {measure.id for measure in MEASURES if re.sub(r"\{[^}]*\}", "{}", measure.id) not in found}
    assert unproduced == set()


def test_only_the_builder_makes_measurements() -> None:
    makers = {
        str(file.relative_to(SOURCE))
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Measurement"
    }
    assert makers == {"core/measurement.py"}


def test_busy_time_is_kept_for_times_and_rates_only() -> None:
    rate, size = build({"tokens_per_s": 9.0, "ppl_after": 8.0}, busy_frac=0.3)
    assert (rate.busy_frac, rate.is_disturbed) == (0.3, True)
    assert (size.busy_frac, size.is_disturbed) == (None, False)
    assert (rate.evidence, size.evidence) == ("measured, disturbed: other work took 30%", "measured")


def test_a_little_other_work_is_no_disturbance() -> None:
    assert not build({"tokens_per_s": 9.0}, busy_frac=0.02)[0].is_disturbed


def test_a_measurement_spans_at_least_one_device() -> None:
    with pytest.raises(UsageError, match="spans nothing"):
        Measurement(id="tokens_per_s", value=1.0, unit="tokens/s", provenance=Provenance.MEASURED, num_devices=0)


def test_a_step_of_a_users_own_registers_its_ids_once() -> None:
    mine = Measure(id="notes_sent", unit="count")
    register_measures([mine])
    register_measures([mine])
    assert measure_of("notes_sent") is mine
    with pytest.raises(UsageError, match="is taken"):
        register_measures([Measure(id="notes_sent", unit="s")])
    with pytest.raises(UsageError, match="unknown unit"):
        register_measures([Measure(id="notes_late", unit="ms")])  # type: ignore[arg-type]
