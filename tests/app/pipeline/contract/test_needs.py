"""What a file may say under `needs`, and what of it makes another run."""

from pathlib import Path
from typing import Any

import pytest

from bedplate.app.pipeline.contract.needs import Needs, Workers
from bedplate.app.pipeline.file.reading import read_pipeline
from bedplate.core.errors import ConfigurationError, UsageError
from bedplate.core.settings import read_settings
from bedplate.documents.reading import document_from, parse_document
from tests.command_line import USES


def key_of(needs: Any) -> str:
    document = {"version": 1, "steps": {"one": {"use": "test.write"}}} | ({} if needs is None else {"needs": needs})
    return read_pipeline(document_from(document, Path.cwd()), USES).key()


def test_the_request_of_the_issue_is_read() -> None:
    written = {
        "accelerator": ["H100", "910B"],
        "count": 8,
        "memory": "40GB",
        "gang": True,
        "topology": "same-node",
        "cpu_per_device": 8,
        "min": 4,
    }
    needs = read_settings(Needs, written)
    assert needs.workers == Workers(want=8, min=4)
    assert (needs.cpus_per_worker, needs.words, needs.memory) == (8, ("H100", "910B"), 40_000_000_000)
    assert needs.has_accelerators


def test_a_job_with_accelerators_needs_all_of_them_unless_it_says_otherwise() -> None:
    assert Needs(count=4).workers == Workers(want=4, min=4)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"count": 8, "workers": {"want": 2}}, "'workers' and 'count' contradict"),
        ({"count": 2, "cpus_per_worker": 4, "cpu_per_device": 8}, "'cpus_per_worker' and 'cpu_per_device' contradict"),
        ({"count": 2, "min": 3}, "'min' is above 'count'"),
        ({"accelerator": "cpu", "count": 2}, "'accelerator' and 'count' contradict"),
        ({"min": 2}, "'min' is about accelerators"),
        ({"share": "50%"}, "'share' is about accelerators"),
        ({"topolgy": "any"}, "topolgy"),
    ],
)
def test_contradictions_are_refused_by_name(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_settings(Needs, written)


def test_a_written_one_contradicts_too() -> None:
    text = "version: 1\nneeds:\n  count: 2\n  cpus_per_worker: 1\n  cpu_per_device: 8\nsteps: {one: {use: test.write}}\n"
    with pytest.raises(ConfigurationError, match=r"job.yaml:4: 'cpus_per_worker' and 'cpu_per_device' contradict"):
        read_pipeline(parse_document(text, "job.yaml", Path.cwd()), USES)


@pytest.mark.parametrize(
    ("written", "expected"),
    [({}, False), ({"accelerator": "cpu"}, False), ({"accelerator": "H100"}, True), ({"count": 1}, True)],
)
def test_workers_have_accelerators_where_the_file_says_so(written: dict[str, Any], expected: bool) -> None:
    assert read_settings(Needs, written).has_accelerators is expected


def test_both_words_may_say_the_same() -> None:
    assert Needs(count=2, workers=Workers(want=2, min=2)).workers.want == 2
    with pytest.raises(UsageError):
        Needs(count=2, workers=Workers(want=2, min=1))


def test_operational_keys_do_not_make_another_run() -> None:
    urgent = {"priority": 5, "tenant": "a/b", "deadline": "2h", "expected": "5m", "preemptible": False, "grace": "1m"}
    assert key_of({"workers": {"want": 2}} | urgent) == key_of({"workers": {"want": 2}})
    assert key_of(urgent) == key_of(None)
    assert key_of({"topology": "same-leaf", "labels": {"rack": "1"}}) == key_of(None)


def test_what_changes_the_work_makes_another_run() -> None:
    keys = {key_of(needs) for needs in (None, {"workers": {"want": 2}}, {"count": 2}, {"count": 2, "accelerator": "H100"})}
    assert len(keys) == 4
