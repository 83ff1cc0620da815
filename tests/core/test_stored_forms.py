"""What is stored or crosses a process as JSON comes back as it was: measurements, figures, tables."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(max_size=8)


@given(
    st.builds(
        Measurement,
        id=WORDS,
        value=st.none() | NUMBERS,
        unit=WORDS,
        provenance=st.sampled_from(Provenance),
        hardware=WORDS,
        scale=WORDS,
        source=WORDS,
        num_nodes=st.integers(1, 10**6),
        num_devices=st.integers(1, 10**6),
        busy_frac=st.none() | st.floats(0, 1),
        at_s=NUMBERS,
    )
)
def test_a_measurement_survives_its_json(measurement: Measurement) -> None:
    assert Measurement.from_json(json.loads(json.dumps(measurement.as_json()))) == measurement


def test_a_measurement_that_an_older_version_stored_can_still_be_read() -> None:
    old: JsonObject = {
        "id": "network_ecmp_collective_ms",
        "value": 1.0,
        "unit": "ms",
        "provenance": "simulated",
        "scale": "64 hosts",
    }
    found = Measurement.from_json(old)
    assert (found.unit, found.num_nodes, found.num_devices, found.busy_frac) == ("ms", 1, 1, None)


def test_a_measurement_needs_its_provenance() -> None:
    with pytest.raises(KeyError):
        Measurement.from_json({"id": "resume_s", "value": 1.0, "unit": "s"})
    with pytest.raises(ValueError, match="guessed"):
        Measurement.from_json({"id": "resume_s", "value": 1.0, "unit": "s", "provenance": "guessed"})


def test_a_figure_survives_its_json() -> None:
    figure = Figure(
        id="loss",
        title="Loss",
        kind=FigureKind.LINE,
        x_label="step",
        y_label="loss",
        series=(Series(name="run", x=(0.0, 1.0), y=(3.5, None)), Series(name="bars", x=("a", "b"), y=(1.0, 2.0))),
        provenance=Provenance.MEASURED,
        marks=((0.5, "worker 1 killed"),),
    )
    assert Figure.from_json(json.loads(json.dumps(figure.as_json()))) == figure


def test_a_table_survives_its_json() -> None:
    table = ResultTable(
        id="schemes",
        title="Schemes",
        columns=("scheme", "size"),
        rows=(("int8", 1.5), ("bf16", None)),
        provenance=Provenance.MEASURED,
    )
    assert ResultTable.from_json(json.loads(json.dumps(table.as_json()))) == table
