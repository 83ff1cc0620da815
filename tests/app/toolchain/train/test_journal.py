"""The journal survives the supervisor, a torn line, a full disk and another run in the same folder."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bedplate.app.pipeline.contract.measured import Extent
from bedplate.app.toolchain.train.journal import AttemptBegan, Drill, Failure, GangCleared, TrainingJournal
from bedplate.app.toolchain.train.report import goodput_frac, recoveries
from bedplate.core.errors import MessageError
from bedplate.toolchain.train.messages import Built, Evaluated, ForwardBegan, Imported, Joined, Loaded, StepReport

EXTENT = Extent(num_nodes=1, num_devices=1)


def step(number: int, **changed: Any) -> StepReport:
    usual = StepReport(
        step=number,
        loss=2.0,
        tokens=8,
        gradient_norm=1.0,
        learning_rate=0.1,
        seconds=1.0,
        compute_s=1.0,
        exchange_s=0.0,
    )
    return dataclasses.replace(usual, **changed)


def test_every_kind_of_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = TrainingJournal(tmp_path / "journal.jsonl", "run")
    journal.begin_attempt(1.0, 2, EXTENT)
    journal.add(2.0, step(1, loss=math.inf, gradient_norm=-math.inf, is_skipped=True), 0)
    journal.add(3.0, Evaluated(when="before", perplexity=math.inf, tokens=3, seconds=0.5), 0)
    journal.add(4.0, Drill(step=1), 1)
    journal.add(5.0, Failure(cause="drill", detected_s=5.5, message="killed"), 1)
    journal.add(6.0, GangCleared())
    assert TrainingJournal(tmp_path / "journal.jsonl", "run").entries == journal.entries
    for line in (tmp_path / "journal.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_of_repeated_steps_the_last_counts(tmp_path: Path) -> None:
    journal = TrainingJournal(tmp_path / "journal.jsonl", "run")
    for number, loss in ((1, 3.0), (2, 2.0), (2, 1.0), (3, 0.5)):
        journal.add(0.0, step(number, loss=loss), 0)
    assert [(item.step, item.loss) for item in journal.steps()] == [(1, 3.0), (2, 1.0), (3, 0.5)]


def test_a_torn_line_is_dropped_and_the_next_entry_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    journal = TrainingJournal(file, "run")
    journal.add(0.0, step(1), 0)
    with file.open("a") as stream:
        stream.write('{"at_s": 1.0, "what": {"kind": "st')
    again = TrainingJournal(file, "run")
    again.add(2.0, step(2), 0)
    assert [item.step for item in TrainingJournal(file, "run").steps()] == [1, 2]


def test_a_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    TrainingJournal(file, "run").add(0.0, step(1), 0)
    file.write_text(file.read_text() + "not an entry\n")
    with pytest.raises(MessageError, match=r"journal\.jsonl:2"):
        TrainingJournal(file, "run")


def test_what_another_run_left_in_the_folder_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    other = TrainingJournal(file, "other")
    other.begin_attempt(0.0, 2, EXTENT)
    other.add(1.0, step(9), 0)
    journal = TrainingJournal(file, "run")
    assert journal.entries == []
    journal.begin_attempt(2.0, 1, EXTENT)
    journal.add(3.0, step(1), 0)
    again = TrainingJournal(file, "run")
    assert [item.step for item in again.steps()] == [1]
    assert again.of(AttemptBegan) == [AttemptBegan(run="run", workers=1)]


def test_entries_that_could_not_be_written_follow_once_they_can(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    journal = TrainingJournal(folder / "journal.jsonl", "run")
    journal.add(0.0, step(1), 0)  # the folder is not there: as a full disk, it refuses
    folder.mkdir()
    journal.add(1.0, step(2), 0)
    assert [item.step for item in TrainingJournal(folder / "journal.jsonl", "run").steps()] == [1, 2]


def test_the_phases_of_a_recovery_add_up_to_its_length(tmp_path: Path) -> None:
    journal = TrainingJournal(tmp_path / "journal.jsonl", "run")
    journal.begin_attempt(0.0, 2, EXTENT)
    for number in (1, 2, 3):
        journal.add(float(number), step(number), 0)
    journal.add(4.0, Failure(cause="signal", detected_s=4.5, message=""), 1)
    journal.add(5.0, GangCleared())
    journal.begin_attempt(5.0, 2, EXTENT)
    for at_s, report in ((6.0, Imported()), (7.0, Built()), (8.0, Joined()), (9.0, Loaded(resumed_from=2, store="memory"))):
        journal.add(at_s - 0.5, report, 0)
        journal.add(at_s, report, 1)
    journal.add(9.5, ForwardBegan(step=3), 1)
    journal.add(11.0, step(3), 0)
    (recovery,) = recoveries(journal)
    assert (recovery.kind, recovery.rank, recovery.step, recovery.steps_repeated) == ("signal", 1, 3, 1)
    assert (recovery.detect_s, recovery.resume_forward_s, recovery.resume_step_s) == (0.5, 5.5, 7.0)
    assert list(recovery.phases_s.values()) == [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0]


def test_a_failure_that_nothing_followed_has_no_times_of_recovery(tmp_path: Path) -> None:
    journal = TrainingJournal(tmp_path / "journal.jsonl", "run")
    journal.begin_attempt(0.0, 1, EXTENT)
    journal.add(1.0, Failure(cause="error", detected_s=1.25, message=""), 0)
    (recovery,) = recoveries(journal)
    assert (recovery.detect_s, recovery.resume_forward_s, recovery.resume_step_s) == (0.25, None, None)
    assert recovery.phases_s == {"detect": 0.25}


def test_skipped_steps_are_no_useful_time(tmp_path: Path) -> None:
    journal = TrainingJournal(tmp_path / "journal.jsonl", "run")
    journal.begin_attempt(0.0, 1, EXTENT)
    journal.add(1.0, step(1), 0)
    journal.add(2.0, step(2, is_skipped=True), 0)
    assert goodput_frac(journal) == 0.5
