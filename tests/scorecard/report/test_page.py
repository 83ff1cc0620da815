import re
from html.parser import HTMLParser

import pytest

from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.text import text, text_of
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.assess import assess
from bedplate.scorecard.catalogue import all_indicators
from bedplate.scorecard.report.model import Report, ReportStep
from bedplate.scorecard.report.page import render
from tests.scorecard.values import measured

EVIL = "<script>alert('x')</script><img src=//evil.example/x onerror=alert(1)>"
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Reads a page and complains about a tag that is not closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.by_language: dict[str, list[str]] = {"en": [], "zh": []}
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append((tag, dict(attributes).get("lang")))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1][0] == "span" and (language := self._open[-1][1]):
            self.by_language[language].append(data)

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


def measurements(evil: str = "") -> tuple[Measurement, ...]:
    return (
        measured(
            "kv_throughput_ratio",
            1.8,
            unit="ratio",
            busy_frac=0.4,
            hardware=f"two cores {evil}",
            scale=evil,
            source=f"step serve {evil}",
        ),
        measured("kv_answers_equal", 1.0, unit="bool"),
        measured("goodput_frac", 0.6),
        measured("resume_step_s", 18.0, unit="s"),
        measured("kill_detect_s", 0.2, unit="s"),
        measured("network_ecmp_worst_flow_frac", 0.25, Provenance.SIMULATED),
        measured("network_planned_worst_flow_frac", 1.0, Provenance.SIMULATED),
        measured("ppl_before", 23.0, Provenance.PUBLISHED, unit="ratio"),
        measured("ppl_after", 21.0, Provenance.EMULATED, unit="ratio"),
    )


def steps(evil: str = "") -> tuple[ReportStep, ...]:
    line = Figure(
        id="loss",
        title=f"Loss {evil}",
        kind=FigureKind.LINE,
        x_label=f"step {evil}",
        y_label=f"nats {evil}",
        series=(Series(name=f"loss {evil}", x=(0, 1, 2), y=(3, 2.5, None)), Series(name="validation", x=(0, 2), y=(3, 2.6))),
        provenance=Provenance.MEASURED,
        marks=((1.0, f"killed {evil}"),),
    )
    bars = Figure(
        id="flows",
        title="Flows",
        kind=FigureKind.BAR,
        x_label="balancing",
        y_label="share",
        series=(Series(name="worst", x=(f"ecmp {evil}", "planned"), y=(0.25, 1.0)),),
        provenance=Provenance.SIMULATED,
    )
    table = ResultTable(
        id="sizes",
        title=text("Slots before the job"),
        details=f"Sizes: {evil}",
        columns=(f"scheme {evil}", "MB"),
        rows=((f"int8 {evil}", 160.5), ("bf16", None)),
        provenance=Provenance.MEASURED,
    )
    return (
        ReportStep(name="model", status="done", duration_s=3.0),
        ReportStep(name="train", status="done", duration_s=90.0, figures=(line,), tables=(table,)),
        ReportStep(name="fabric", status="failed", duration_s=1.0, figures=(bars,)),
        ReportStep(name="score", status="waiting"),
    )


def page(evil: str = "", language: Language = Language.ENGLISH, *, empty: bool = False) -> str:
    found = assess(() if empty else measurements(evil))
    return render(
        Report(
            title=f"lifecycle {evil}",
            run_id=f"r1 {evil}",
            created_s=1_700_000_000.0,
            scorecard=found.scorecard,
            limiting=found.limiting,
            what_if=found.what_if,
            steps=() if empty else steps(evil),
            language=language,
        )
    )


@pytest.mark.parametrize("empty", [False, True])
def test_the_page_is_well_formed_and_its_links_resolve(empty: bool) -> None:
    read = Page(page(empty=empty))
    assert len(read.ids()) == len(set(read.ids()))
    targets = [attributes["href"] or "" for tag, attributes in read.tags if tag == "a"]
    assert targets and all(target[1:] in read.ids() for target in targets)
    labels = [attributes["for"] for tag, attributes in read.tags if tag == "label"]
    assert labels and all(label in read.ids() for label in labels)


def test_the_page_asks_nobody_for_anything() -> None:
    html = page()
    read = Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    assert not [attributes for _, attributes in read.tags if "src" in attributes or "srcset" in attributes]
    assert not re.search(r"url\(|@import|https?://", html)
    policy = next(attributes["content"] for _, attributes in read.tags if attributes.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_hostile_words_are_shown_and_never_obeyed() -> None:
    read = Page(page(EVIL))
    assert not {"script", "img"} & {tag for tag, _ in read.tags}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    assert any("<script>" in text for text in read.texts)


def test_every_figure_is_drawn_and_every_table_is_shown() -> None:
    html = page()
    assert html.count('<svg class="plot"') == sum(len(step.figures) for step in steps())
    assert "Sizes" in html and "160.5" in html


def test_both_languages_say_equally_much_and_the_chosen_one_is_first() -> None:
    read = Page(page())
    assert len(read.by_language["en"]) == len(read.by_language["zh"]) > 100
    for language in Language:
        html = page(language=language)
        assert f'<html lang="{language.value}">' in html
        assert re.search(rf'id="language-{language.value}" checked', html) and html.count(" checked") == 1


def test_every_indicator_is_there_with_its_value_level_and_provenance() -> None:
    html = page()
    for indicator in all_indicators():
        start = html.index(f'<details class="indicator" id="{indicator.id}">')
        entry = html[start : html.index("</details>", start)]
        assert in_language(text_of(indicator.name), Language.CHINESE) in entry and 'class="level level-' in entry
        is_known = all(name in {item.id for item in measurements()} for name in indicator.parsed.names)
        assert ('class="badge provenance-' in entry.partition("</summary>")[0]) == is_known


def test_a_number_never_stands_without_its_provenance() -> None:
    html = page()
    for title in ("Loss", "Flows", '<span lang="en">Slots before the job'):
        heading = html[html.index(f"<strong>{title}") :][:200]
        assert "badge provenance-" in heading


def test_what_is_missing_is_listed_with_the_command_that_measures_it() -> None:
    html = page()
    missing = html[html.index('id="missing"') :]
    assert "bedplate storage direct bench PATH" in missing and "planned for a later version" in missing
    assert "kv_throughput_gain_frac" not in missing


def test_failed_steps_are_seen_on_the_timeline() -> None:
    assert 'class="status status-failed"' in page()


def test_nothing_measured_makes_a_page_that_says_so() -> None:
    html = page(empty=True)
    assert "Nothing has been graded yet" in html and "尚无可计分的指标" in html


def test_a_disturbed_value_is_marked_and_explained_in_both_languages() -> None:
    read = Page(page())
    legend = 1
    assert read.by_language["en"].count("disturbed") == read.by_language["zh"].count("受干扰") == legend + 2
    assert any("other work took part of the machine" in text for text in read.by_language["en"])


def test_a_title_is_translated_whatever_its_details_hold() -> None:
    read = Page(page())
    assert "作业前的槽位" in read.by_language["zh"]
    assert any(text.startswith("Sizes: ") for text in read.texts)
