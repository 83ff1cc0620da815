"""Training on an engine whose tasks cannot inherit memory files: checkpoints go to disk, and a killed worker resumes there."""

from pathlib import Path

from bedplate.app.toolchain.train.journal import TrainingJournal
from bedplate.app.toolchain.train.step import run
from bedplate.engines.remote.engine import RemoteEngine
from bedplate.toolchain.train.settings import DrillSettings
from tests.training_run import make_context, make_settings, measured


def test_a_killed_worker_resumes_from_disk(engine: RemoteEngine, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    result = run(make_settings(tmp_path, steps=6, drill=DrillSettings(kill=1, at_step=3), restarts=0), context)
    assert any("checkpoints go to disk" in said for said in heard.said)
    (resumed,) = [event.message for event in heard.events if event.kind == "train.resumed"]
    assert resumed in ("resumed from step 2 in disk", "resumed from step 4 in disk")  # the kill travels while steps go on
    journal = TrainingJournal(tmp_path / "step" / "journal.jsonl", str(result.outputs["run"]))
    assert [step.step for step in journal.steps()] == list(range(1, 7))
    values = measured(result)
    assert values["ppl_after"] < values["ppl_before"]
    assert values["kill_detect_s"] < 1
