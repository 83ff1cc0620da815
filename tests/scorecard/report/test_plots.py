import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from bedplate.core.figures import Figure, FigureKind, Series
from bedplate.core.measurement import Provenance
from bedplate.core.text import text
from bedplate.scorecard.report.plots import draw


def figure(kind: FigureKind, *series: Series, **other: Any) -> Figure:
    return Figure(
        id="f", title="A title", kind=kind, x_label="x", y_label="y/s", series=series, provenance=Provenance.MEASURED, **other
    )


def drawn(asked: Figure) -> ET.Element:
    svg = draw(asked)
    assert svg is not None
    return ET.fromstring(svg)


def with_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [item for item in svg.iter() if name in item.get("class", "").split()]


def test_each_series_is_a_line_and_each_point_has_its_number() -> None:
    svg = drawn(figure(FigureKind.LINE, Series(name="a", x=(0, 1), y=(2, 3.5)), Series(name="b", x=(0, 1), y=(1, 1))))
    assert len(with_class(svg, "line")) == 2
    assert "a: 1, 3.5" in [title.text for title in svg.iter("title")]


def test_a_gap_lifts_the_pen() -> None:
    (path,) = with_class(drawn(figure(FigureKind.LINE, Series(name="a", x=(0, 1, 2, 3), y=(1, None, 2, 3)))), "line")
    assert path.get("d", "").count("M") == 2


def test_on_a_logarithmic_axis_equal_ratios_are_equal_steps_and_what_is_not_above_zero_is_not_drawn() -> None:
    series = Series(name="a", x=(0, 1, 10, 100), y=(1, 2, 3, 4))
    dots = with_class(drawn(figure(FigureKind.LINE, series, is_x_logarithmic=True)), "dot")
    places = [float(dot.get("cx", "")) for dot in dots]
    assert len(places) == 3
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)


def test_marks_are_lines_with_labels() -> None:
    svg = drawn(figure(FigureKind.LINE, Series(name="a", x=(0, 9), y=(1, 2)), marks=((4.0, "killed"),)))
    assert len(with_class(svg, "mark")) == 1
    assert [label.text for label in with_class(svg, "mark-label")] == ["killed"]


def test_the_height_of_a_bar_is_its_value() -> None:
    bars = with_class(drawn(figure(FigureKind.BAR, Series(name="a", x=("one", "two", "none"), y=(2, 4, None)))), "bar")
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2) and len(heights) == 2


def test_bars_of_series_with_the_same_label_stand_beside_each_other() -> None:
    svg = drawn(figure(FigureKind.BAR, Series(name="a", x=("l",), y=(1,)), Series(name="b", x=("l",), y=(2,))))
    one, other = (float(bar.get("x", "")) for bar in with_class(svg, "bar"))
    assert one < other and len(with_class(svg, "tick")) >= 1


def test_of_many_labels_those_that_fit_are_shown_whole() -> None:
    labels = tuple(f"leaf{index}-spine3" for index in range(64))
    svg = drawn(figure(FigureKind.BAR, Series(name="a", x=labels, y=(1.0,) * 64)))
    shown = [item.text or "".join(item.itertext()) for item in with_class(svg, "middle")]
    assert 3 <= sum("spine" in text for text in shown) < 20
    assert not any("…" in text for text in shown)


def test_a_long_line_is_thinned_and_keeps_its_peak() -> None:
    y = [0.0] * 50_000
    y[31_234] = 7.0
    svg = drawn(figure(FigureKind.LINE, Series(name="a", x=tuple(range(50_000)), y=tuple(y))))
    (path,) = with_class(svg, "line")
    points = path.get("d", "").replace("M", "L").split("L")[1:]
    assert len(points) < 1000
    assert min(float(point.split()[1]) for point in points) < 120


@pytest.mark.parametrize("kind", FigureKind)
@pytest.mark.parametrize(
    "series",
    [(), (Series(name="a", x=(), y=()),), (Series(name="a", x=(1,), y=(None,)),), (Series(name="a", x=(1,), y=(math.nan,)),)],
)
def test_a_figure_without_numbers_is_not_drawn(kind: FigureKind, series: tuple[Series, ...]) -> None:
    assert draw(figure(kind, *series)) is None


@pytest.mark.parametrize("values", [(0, 0), (5, 5), (-3, -1), (1e-9, 2e-9), (1e15, 2e15), (-1, 1)])
@pytest.mark.parametrize("kind", FigureKind)
def test_any_finite_numbers_stay_inside_the_picture(kind: FigureKind, values: tuple[float, float]) -> None:
    svg = drawn(figure(kind, Series(name="a", x=(0, 1), y=values)))
    for item in svg.iter():
        for name, limit in (("cx", 560), ("cy", 300), ("y", 300)):
            assert 0 <= float(item.get(name, "1")) <= limit


def test_hostile_words_stay_words() -> None:
    evil = "</title><script>alert(1)</script>\"'&"
    svg = drawn(
        Figure(
            id="f",
            title=evil,
            kind=FigureKind.LINE,
            x_label=evil,
            y_label=evil,
            series=(Series(name=evil, x=(0, 1), y=(0, 1)),),
            provenance=Provenance.MEASURED,
            marks=((0.5, evil),),
        )
    )
    assert not list(svg.iter("script"))
    assert evil in [item.text for item in svg.iter("text")]


def test_axis_labels_are_there_in_both_languages() -> None:
    asked = replace(figure(FigureKind.LINE, Series(name="a", x=(0, 1), y=(0, 1))), x_label=text("optimiser step"))
    labels = {item.get("lang"): item.text for item in with_class(drawn(asked), "axis-label")}
    assert labels == {"en": "optimiser step", "zh": "优化器步", None: "y/s"}
