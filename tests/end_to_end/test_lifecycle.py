"""The main job as people start it: `examples/lifecycle.yaml` through the real CLI, with a generated model and text."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate.app.pipeline.file.reading import read_pipeline
from bedplate.app.uses import USES
from bedplate.documents.reading import document_from, read_document
from tests.command_line import ROOT, CommandLine, statuses

EXAMPLE = ROOT / "examples" / "lifecycle.yaml"
FIXED_IDS = {
    "kill_detect_s",
    "resume_forward_s",
    "resume_step_s",
    "steps_repeated",
    "kv_throughput_ratio",
    "kv_ttft_ratio",
    "kv_answers_equal",
    "ppl_before",
    "ppl_after",
    "ppl_int8",
    "peak_memory_bytes",
}


def small_lifecycle(model: Path, text: Path) -> dict[str, Any]:
    """The example with a small model, a small text and few tokens; everything else as it is.

    What the example says twice is left out, as DESIGN writes it: training then tokenises the corpus itself, and
    compression finds by the trained model which text to judge by.
    """
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    steps = document["steps"]
    steps["model"]["model"] = str(model)
    steps["corpus"] |= {"source": str(text), "validation": "10%"}
    del steps["corpus"]["model"], steps["compress"]["data"]
    steps["compress"]["max_perplexity_rise"] = "100%"  # that of an untrained model moves about 1 % by chance
    steps["train"] |= {"tokens": "4k", "sequence": 128, "drill": {"kill": 1, "at_step": 4}}
    return document


def test_the_example_uses_only_what_there_is() -> None:
    document = read_document(EXAMPLE)
    steps: Any = document.value["steps"]
    assert {step["use"] for step in steps.values()} == set(USES)


def test_the_example_is_valid_and_its_steps_are_in_order() -> None:
    pipeline = read_pipeline(read_document(EXAMPLE))
    assert [step.name for step in pipeline.steps] == [
        "model",
        "corpus",
        "screen",
        "train",
        "compress",
        "serve",
        "fabric",
        "score",
    ]


def test_the_small_lifecycle_is_understood(tiny_model: Path, tiny_text: Path, tmp_path: Path) -> None:
    read_pipeline(document_from(small_lifecycle(tiny_model, tiny_text), tmp_path))


@pytest.mark.timeout(600)
def test_the_whole_life_of_a_small_model(command_line: CommandLine, tiny_model: Path, tiny_text: Path) -> None:
    file = command_line.write(yaml.safe_dump(small_lifecycle(tiny_model, tiny_text), sort_keys=False))
    end = command_line.call("run", file, "-o", "json", deadline_s=540)
    assert end.code == 0, end.err
    document = end.json
    assert {status for _, status in statuses(document)} == {"done"}
    assert "the model names no training corpus" not in end.err
    assert {item["id"] for item in document["measurements"]} >= FIXED_IDS
    assert Path(document["report"]).read_text().startswith("<!")
    again = command_line.call("run", file, "-o", "json")
    assert again.json["was_done_before"]
