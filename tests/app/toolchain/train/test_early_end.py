"""A run that ends early keeps what it had, and what would fail at its end fails before its start; real processes and disks."""

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.train.step import run
from bedplate.compute.inventory import this_node
from bedplate.core.errors import CancelledError, ResourcesError, UnavailableError, UsageError
from bedplate.core.reporter import CallbackReporter
from bedplate.storage.checkpoint.disk import DiskCheckpointStore
from bedplate.toolchain.train.settings import CheckpointSettings
from tests.command_line import CommandLine, ended, wait_until
from tests.failing_worker import FaultyEngine
from tests.training_run import Heard, make_context, make_micro_model, make_settings, make_shards

RARELY = CheckpointSettings(every=2, disk_every=100_000)
"""Nothing goes to disk while training runs."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaultyEngine]:
    engine = FaultyEngine(tmp_path / "engine", this_node())
    yield engine
    engine.close()


def committed_steps(heard: Heard) -> list[int]:
    return [int(event.message.split()[-1]) for event in heard.events if event.kind == "checkpoint.committed"]


def ending(context: StepContext, heard: Heard, error: BaseException) -> StepContext:
    """The same context, in which the run is ended by `error` once some checkpoints are in memory."""

    def check() -> None:
        if len(committed_steps(heard)) > 2:
            raise error

    return dataclasses.replace(context, reporter=CallbackReporter(on_say=heard.said.append, on_check=check))


@pytest.mark.parametrize("error", [CancelledError("stop"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_an_early_end_writes_the_newest_checkpoint_to_disk(engine: FaultyEngine, tmp_path: Path, error: BaseException) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    with pytest.raises(type(error)):
        run(make_settings(tmp_path, steps=400, checkpoint=RARELY), ending(context, heard, error))
    assert not engine.statistics().tasks_running
    (kept, *_) = DiskCheckpointStore(tmp_path / "step" / "checkpoints", 0, 2).steps()
    assert kept >= committed_steps(heard)[-1]
    assert f"the checkpoint of step {kept} is on disk; the same command resumes from it" in heard.said


def test_a_cancelled_run_resumes_with_other_operational_settings(engine: FaultyEngine, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    settings = make_settings(tmp_path, steps=60, checkpoint=RARELY)
    with pytest.raises(CancelledError):
        run(settings, ending(context, heard, CancelledError("stop")))
    (kept, *_) = DiskCheckpointStore(tmp_path / "step" / "checkpoints", 0, 2).steps()
    changed = dataclasses.replace(settings, restarts=9, hang_timeout=31.0, checkpoint=CheckpointSettings(every=3))
    result = run(changed, context)
    assert [event.message for event in heard.events if event.kind == "train.resumed"] == [f"resumed from step {kept} in disk"]
    assert result.outputs["steps"] == 60
    undisturbed, _ = make_context(engine, tmp_path / "undisturbed")
    run(settings, undisturbed)
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("step", "undisturbed")]
    assert weights[0] == weights[1]


def test_another_learning_rate_is_other_work(engine: FaultyEngine, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    settings = make_settings(tmp_path, steps=60, checkpoint=RARELY)
    with pytest.raises(CancelledError):
        run(settings, ending(context, heard, CancelledError("stop")))
    result = run(dataclasses.replace(settings, learning_rate=1e-3), context)
    assert not any(event.kind == "train.resumed" for event in heard.events)
    assert result.outputs["steps"] == 60


FILE = """
model: base
data: data
tokens: 500k
precision: fp32
sequence: 32
micro_batch: 2
checkpoint: {every: 2, in: memory, disk_every: 100000}
evaluate: {tokens: 0}
needs: {workers: {want: 2, min: 2}}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_command_leaves_a_checkpoint_to_resume_from(tmp_path: Path, number: int) -> None:
    commands = CommandLine(folder=tmp_path)
    make_micro_model(tmp_path / "base")
    make_shards(tmp_path / "data")
    commands.write(FILE, "job.yaml")
    process = commands.start("train", "job.yaml")
    journal = wait_until(lambda: list(commands.state.glob("**/journal.jsonl")), "the journal is there", process)[0]
    wait_until(lambda: journal.read_text().count('"checkpoint"') > 8, "there are checkpoints in memory", process)
    process.send_signal(number)
    first = ended(process)
    assert first.code == 1
    assert "is on disk; the same command resumes from it" in first.err
    (kept, *_) = DiskCheckpointStore(journal.parent / "checkpoints", 0, 2).steps()
    commands.write(FILE + "hang_timeout: 1h\n", "job.yaml")
    resumed = commands.start("train", "job.yaml")
    wait_until(lambda: f'"resumed_from": {kept}' in journal.read_text(), "it has resumed", resumed)
    resumed.kill()
    resumed.communicate()


def test_a_folder_beside_the_tokenizer_does_not_stop_the_export(engine: FaultyEngine, tmp_path: Path) -> None:
    context, _ = make_context(engine, tmp_path / "step")
    settings = make_settings(tmp_path, steps=2)
    (tmp_path / "base" / "tokenizer_old").mkdir()
    (tmp_path / "base" / "tokenizer_config.json").write_text("{}")
    path = run(settings, context).path
    assert path is not None
    assert (path / "tokenizer_config.json").is_file() and not (path / "tokenizer_old").exists()


def test_something_else_at_the_results_place_is_found_before_the_start(engine: FaultyEngine, tmp_path: Path) -> None:
    context, _ = make_context(engine, tmp_path / "step")
    (tmp_path / "step" / "model").mkdir(parents=True)
    (tmp_path / "step" / "model" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"not an earlier result.*thesis\.tex"):
        run(make_settings(tmp_path, steps=2), context)
    assert engine.num_submitted == 0
    assert (tmp_path / "step" / "model" / "thesis.tex").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_found_before_the_start(engine: FaultyEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    context, _ = make_context(engine, tmp_path / "file" / "step")
    with pytest.raises(UnavailableError, match="cannot be written"):
        run(make_settings(tmp_path, steps=2), context)
    assert engine.num_submitted == 0


def test_an_unreadable_model_file_is_found_before_the_start(engine: FaultyEngine, tmp_path: Path) -> None:
    context, _ = make_context(engine, tmp_path / "step")
    settings = make_settings(tmp_path, steps=2)
    (tmp_path / "base" / "chat_template.jinja").symlink_to("/proc/self/mem")  # a file whose first byte is never readable
    with pytest.raises(UnavailableError, match=r"cannot be read.*chat_template\.jinja"):
        run(settings, context)
    assert engine.num_submitted == 0


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_too_small_is_found_before_the_start(engine: FaultyEngine, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as disk:
        context, _ = make_context(engine, disk / "step")
        with pytest.raises(ResourcesError, match="disk is too small"):
            run(make_settings(tmp_path, steps=2), context)
    assert engine.num_submitted == 0


def test_a_run_ended_by_a_full_disk_finishes_once_freed(engine: FaultyEngine, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "40m") as disk:
        context, heard = make_context(engine, disk / "step")

        def fill() -> None:
            if heard.samples and not (disk / "filler").exists():
                with (disk / "filler").open("wb") as file:
                    file.truncate(0)
                    file.write(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 65_536))

        filling = dataclasses.replace(context, reporter=CallbackReporter(on_check=fill))
        settings = make_settings(tmp_path, steps=120, checkpoint=RARELY)
        with pytest.raises(ResourcesError, match=r"trained model could not be written.*No space left"):
            run(settings, filling)
        assert engine.num_submitted == 1
        assert not (disk / "step" / "model").exists()
        (disk / "filler").unlink()
        result = run(settings, context)
        assert json.loads((disk / "step" / "model" / "training.json").read_text())["steps"] == result.outputs["steps"] == 120
