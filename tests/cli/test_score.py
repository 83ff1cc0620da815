"""`bedplate score`, as people and scripts call it."""

import json
from pathlib import Path

import pytest

from bedplate.cli.main import main
from tests.command_line import CommandLine
from tests.scorecard.values import measured


@pytest.fixture
def file(tmp_path: Path) -> Path:
    measurements = [
        measured("kv_throughput_ratio", 1.8, unit="ratio", source="step serve"),
        measured("ppl_before", 23.4, unit="ratio"),
        measured("ppl_after", 21.6, unit="ratio"),
        measured("goodput_frac", 0.3),
    ]
    document: dict[str, object] = {
        "run_id": "run-7",
        "status": "done",
        "steps": [{"name": "train", "status": "done", "seconds": 61.0}],
        "report": None,
        "measurements": [item.as_json() for item in measurements],
    }
    written = tmp_path / "run.json"
    written.write_text(json.dumps(document))
    return written


def test_json_has_the_keys_that_scripts_rely_on(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--from", str(file), "-o", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) >= {"indicators", "parts", "limiting", "coverage_frac"}
    for indicator in printed["indicators"]:
        assert set(indicator) >= {"id", "part", "value", "unit", "provenance", "level", "source"}
    gain = next(item for item in printed["indicators"] if item["id"] == "kv_throughput_gain_frac")
    assert gain["value"] == pytest.approx(0.8)
    assert (gain["level"], gain["provenance"], gain["source"]) == ("lead", "measured", "step serve")
    assert printed["limiting"]["id"] == "goodput_frac" and printed["limiting"]["why"] and printed["limiting"]["what_if"]
    assert set(printed["parts"]) == {"compute", "storage", "network", "toolchain", "operations"}
    assert 0 < printed["coverage_frac"] < 1


def test_a_plain_list_of_measurements_is_graded_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.json").write_text(
        json.dumps([{"id": "steps_repeated", "value": 1, "unit": "steps", "provenance": "measured"}])
    )
    assert main(["score", "--from", str(tmp_path / "list.json"), "-o", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert next(item for item in printed["indicators"] if item["id"] == "steps_repeated")["level"] == "lead"


def test_the_table_shows_values_and_how_to_measure_missing_ones(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--from", str(file)]) == 0
    printed = capsys.readouterr()
    rows = {line.split("\t")[1]: line.split("\t") for line in printed.out.splitlines()}
    assert rows["Throughput gained by KV memory"] == [
        "Storage",
        "Throughput gained by KV memory",
        "80 %",
        "lead",
        "measured",
        "",
    ]
    assert rows["Allocated share of the pool"][3:] == ["missing", "", "planned for a later version"]
    assert "Effective training time is 30 %" in printed.err


def test_it_speaks_chinese(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--from", str(file), "--lang", "zh"]) == 0
    assert "KV 记忆带来的吞吐增益" in capsys.readouterr().out


def test_html_is_written_beside_the_answer(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "report.html"
    assert main(["score", "--from", str(file), "--html", str(page), "-o", "json"]) == 0
    assert "run-7" in page.read_text(encoding="utf-8") and "1m 01s" in page.read_text(encoding="utf-8")
    assert json.loads(capsys.readouterr().out)["coverage_frac"] > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("{}", "KeyError"), ("[1]", "TypeError"), ("nonsense", "JSONDecodeError"), ('[{"id": "a", "value": 1}]', "KeyError")],
)
def test_a_file_without_measurements_is_refused(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text(text)
    assert main(["score", "--from", str(tmp_path / "bad.json")]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert main(["score", "--from", str(tmp_path / "none.json")]) == 3


def test_a_run_and_a_file_at_once_are_refused(file: Path) -> None:
    assert main(["score", "some-run", "--from", str(file)]) == 2


def test_a_page_that_cannot_be_written_is_an_error_with_its_reason(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    assert main(["score", "--from", str(file), "--html", str(tmp_path / "taken" / "report.html")]) == 5
    assert "cannot be written" in capsys.readouterr().err


PIPELINE = """
version: 1
name: graded
steps:
  write: {use: test.write, text: a, times: 3}
  score: {use: score, language: zh, after: [write]}
"""


def test_a_run_with_a_score_step_can_be_graded_again(command_line: CommandLine, tmp_path: Path) -> None:
    ran = command_line.call("run", command_line.write(PIPELINE), "-o", "json")
    assert ran.code == 0, ran.err
    report = Path(ran.json["report"]).read_text(encoding="utf-8")
    assert '<html lang="zh">' in report and ran.json["run_id"] in report
    assert 'style="left:0.00%;width:100.00%"' in report, "the time of the step before is on the timeline"

    again = command_line.call("score", "-o", "json")
    assert again.code == 0, again.err
    assert again.json["coverage_frac"] == 0.0 and len(again.json["indicators"]) >= 20

    named = command_line.call("score", "graded", "--html", tmp_path / "again.html")
    assert named.code == 0, named.err
    page = (tmp_path / "again.html").read_text(encoding="utf-8")
    assert ran.json["run_id"] in page and page.count('class="status status-done"') == 2


def test_without_any_run_there_is_nothing_to_grade(command_line: CommandLine) -> None:
    end = command_line.call("score")
    assert (end.code, end.out) == (3, "")
    assert "there is no run" in end.err
