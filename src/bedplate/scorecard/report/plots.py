"""Draws a `Figure` as inline SVG: no library, no script, no request.

Colours and fonts are the page's (CSS classes), so a plot follows light, dark and print. Every point and bar carries its
number as a tooltip (`<title>`), and the page repeats all numbers as a table for readers who cannot see the picture.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedplate.core.figures import Figure, FigureKind, Series
from bedplate.core.text import AnyText
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.report.axis import Axis, axis, logarithmic_axis, tick_text
from bedplate.scorecard.report.svg import element

WIDTH_PX = 560
HEIGHT_PX = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 544, 34, 248
_NUM_COLOURS = 6
_MAX_POINTS = 400
_MAX_MARKERS = 60
_CHARACTER_PX = 6.6
_MAX_LABELS = 8


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    y: float


def draw(figure: Figure) -> str | None:
    """SVG text of a figure; None where it holds nothing that can be drawn."""
    body = _bars(figure) if figure.kind is FigureKind.BAR else _lines(figure)
    if body is None:
        return None
    return element(
        "svg",
        body,
        _axis_label(figure.x_label, x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 38, css="axis-label middle"),
        _axis_label(figure.y_label, x=4, y=_TOP - 18, css="axis-label"),
        css="plot",
        viewBox=f"0 0 {WIDTH_PX} {HEIGHT_PX}",
        role="img",
        aria_label=f"{figure.title}: {figure.y_label} / {figure.x_label}",
    )


def series_colour(index: int) -> str:
    """CSS class of the series at `index`, for plot and legend."""
    return f"series-{index % _NUM_COLOURS + 1}"


def _lines(figure: Figure) -> str | None:
    lines = [_points(series, only_positive=figure.is_x_logarithmic) for series in figure.series]
    points = [point for line in lines for point in line if point is not None]
    if not points:
        return None
    marks = [(float(at), label) for at, label in figure.marks if _number(at) is not None]
    marks = [(at, label) for at, label in marks if at > 0 or not figure.is_x_logarithmic]
    xs = [*(point.x for point in points), *(at for at, _ in marks)]
    across = (
        logarithmic_axis(min(xs), max(xs), _LEFT, _RIGHT)
        if figure.is_x_logarithmic
        else axis(min(xs), max(xs), _LEFT, _RIGHT, num_ticks=6, is_tight=True)
    )
    up = _value_axis([point.y for point in points], from_zero=False)
    drawn = [
        _line(line, str(series.name), series_colour(index), across, up)
        for index, (series, line) in enumerate(zip(figure.series, lines, strict=True))
    ]
    return "".join([_grid(up), _ticks_across(across), _marks(marks, across), *drawn])


def _bars(figure: Figure) -> str | None:
    heights = [[(str(label), _number(y)) for label, y in zip(item.x, item.y, strict=False)] for item in figure.series]
    ys = [y for bars in heights for _, y in bars if y is not None]
    if not ys:
        return None
    slots = {label: index for index, label in enumerate(dict.fromkeys(label for bars in heights for label, _ in bars))}
    up = _value_axis(ys, from_zero=True)
    slot_px = (_RIGHT - _LEFT) / len(slots)
    bar_px = min(46.0, slot_px * 0.76 / len(figure.series))
    drawn = [_grid(up)]
    for index, (series, bars) in enumerate(zip(figure.series, heights, strict=True)):
        shift_px = (index - len(figure.series) / 2) * bar_px
        drawn += [
            _bar(_middle_px(slots[label], slot_px) + shift_px, bar_px, y, up, series_colour(index), f"{series.name}, {label}")
            for label, y in bars
            if y is not None
        ]
    return "".join([*drawn, _labels_below(tuple(slots), slot_px)])


def _line(line: Sequence[_Point | None], name: str, colour: str, across: Axis, up: Axis) -> str:
    path, is_pen_down = [], False
    for point in line:
        if point is not None:
            path.append(f"{'L' if is_pen_down else 'M'}{across.place(point.x):.1f} {up.place(point.y):.1f}")
        is_pen_down = point is not None
    drawn = [element("path", css=f"line {colour}", d="".join(path), title=name)]
    if len(line) <= _MAX_MARKERS:
        drawn += [_dot(point, name, colour, across, up) for point in line if point is not None]
    return "".join(drawn)


def _dot(point: _Point, name: str, colour: str, across: Axis, up: Axis) -> str:
    title = f"{name}: {point.x:.6g}, {point.y:.6g}"
    return element("circle", css=f"dot {colour}", cx=across.place(point.x), cy=up.place(point.y), r=3, title=title)


def _bar(left_px: float, width_px: float, y: float, up: Axis, colour: str, name: str) -> str:
    zero_px, value_px = up.place(0.0), up.place(y)
    top_px, height_px = min(zero_px, value_px), max(1.0, abs(zero_px - value_px))
    title = f"{name}: {y:.6g}"
    width = max(1.0, width_px - 2)
    bar = element("rect", css=f"bar {colour}", x=left_px + 1, y=top_px, width=width, height=height_px, rx=1.5, title=title)
    if width_px < 24:
        return bar
    return bar + element("text", css="bar-value", x=left_px + width_px / 2, y=top_px - 4, text=tick_text(float(f"{y:.3g}")))


def _labels_below(labels: Sequence[str], slot_px: float) -> str:
    """A label under each slot, shortened to fit; of many labels every n-th, in full."""
    longest_px = (max(map(len, labels)) + 1) * _CHARACTER_PX
    every = math.ceil(longest_px / slot_px) if len(labels) > _MAX_LABELS else 1
    room = max(3, int(slot_px * every / _CHARACTER_PX))
    return "".join(
        element(
            "text",
            css="tick middle",
            x=min(_middle_px(index, slot_px), _RIGHT - min(len(label), room) * _CHARACTER_PX / 2),
            y=_BOTTOM + 18,
            text=label if len(label) <= room else label[: room - 1] + "…",
            title=label,
        )
        for index, label in list(enumerate(labels))[::every]
    )


def _points(series: Series, *, only_positive: bool) -> list[_Point | None]:
    """Points of a line, None at gaps; long lines keep the lowest and the highest of each stretch, so peaks stay."""
    pairs = [(_number(x), _number(y)) for x, y in zip(series.x, series.y, strict=False)]
    points = [None if x is None or y is None or (only_positive and x <= 0) else _Point(x, y) for x, y in pairs]
    if len(points) <= _MAX_POINTS:
        return points
    stretch = math.ceil(len(points) / (_MAX_POINTS / 2))
    kept: list[_Point | None] = []
    for start in range(0, len(points), stretch):
        piece = [point for point in points[start : start + stretch] if point is not None]
        if not piece:
            kept.append(None)
            continue
        ends = {min(piece, key=lambda point: point.y), max(piece, key=lambda point: point.y)}
        in_order: list[_Point] = sorted(ends, key=lambda point: point.x)
        kept.extend(in_order)
    return kept


def _value_axis(ys: Sequence[float], *, from_zero: bool) -> Axis:
    low, high = min(ys), max(ys)
    if from_zero or 0 < low < 0.4 * high:
        low, high = min(0.0, low), max(0.0, high)
    return axis(low, high, _BOTTOM, _TOP)


def _axis_label(label: AnyText, *, x: float, y: float, css: str) -> str:
    """The label in every language; the page shows one."""
    return _in_all_languages(label, lambda shown, **language: element("text", x=x, y=y, css=css, text=shown, **language))


def _in_all_languages(words: AnyText, draw: Callable[..., str]) -> str:
    """`draw(text, lang=…)` for each language, or once without `lang` where the text is the same in all."""
    in_all = {language: in_language(words, language) for language in Language}
    if len(set(in_all.values())) == 1:
        return draw(in_all[Language.ENGLISH])
    return "".join(draw(shown, lang=language.value) for language, shown in in_all.items())


def _grid(up: Axis) -> str:
    drawn = []
    for value in up.ticks:
        y = up.place(value)
        drawn.append(element("line", css="grid zero" if value == 0 else "grid", x1=_LEFT, x2=_RIGHT, y1=y, y2=y))
        drawn.append(element("text", css="tick end", x=_LEFT - 7, y=y + 4, text=tick_text(value)))
    return "".join(drawn)


def _ticks_across(across: Axis) -> str:
    drawn = []
    for value in across.ticks:
        x = across.place(value)
        drawn.append(element("line", css="grid-tick", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4))
        drawn.append(element("text", css="tick middle", x=x, y=_BOTTOM + 18, text=tick_text(value)))
    return "".join(drawn)


def _marks(marks: Iterable[tuple[float, AnyText]], across: Axis) -> str:
    lines, labels = [], []  # labels last: a line must not cross the label of the one before
    for index, (at, label) in enumerate(marks):
        x = across.place(at)
        side, shift_px = ("end", -4) if x > (_LEFT + _RIGHT) / 2 else ("start", 4)
        lines.append(element("line", css="mark", x1=x, x2=x, y1=_TOP, y2=_BOTTOM, title=str(label)))
        place = {"css": f"mark-label {side}", "x": x + shift_px, "y": _TOP + 11 + 14 * (index % 4)}
        labels.append(_in_all_languages(label, functools.partial(_mark_label, place)))
    return "".join([*lines, *labels])


def _mark_label(place: Mapping[str, Any], shown: str, **language: str) -> str:
    return element("text", text=shown, **place, **language)


def _middle_px(slot: int, slot_px: float) -> float:
    return _LEFT + (slot + 0.5) * slot_px


def _number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
