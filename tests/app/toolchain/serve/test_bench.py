"""`bench.serve` on the real engine with a small load: what it measures, and that memory changes times only."""

import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

import bedplate
from bedplate.app.pipeline.run.outcome import RunOutcome
from bedplate.app.pipeline.run.watch import NullWatcher
from bedplate.core.errors import ConfigurationError
from tests.command_line import CommandLine
from tests.workers.test_load_client import serving

LOAD = {
    "load": "chat",
    "kv": ["off", "on"],
    "streams": 2,
    "turns": 2,
    "shared_tokens": 300,
    "prompt_tokens": 40,
    "output_tokens": 4,
}


def bench(model: Path, folder: Path, **words: Any) -> RunOutcome:
    step = {"use": "bench.serve", "model": str(model), **LOAD, **words}
    return bedplate.run({"version": 1, "name": "bench", "steps": {"serve": step}}, state=str(folder / "state"))


def results_of(outcome: RunOutcome) -> list[dict[str, Any]]:
    file = outcome.path_of("serve")
    assert file is not None
    results: list[dict[str, Any]] = json.loads(file.read_text())["results"]
    return results


def test_memory_on_and_off_are_compared_on_the_same_prompts(tiny_model: Path, tmp_path: Path) -> None:
    outcome = bench(tiny_model, tmp_path)
    values = {item.id: item.value for item in outcome.measurements}
    off, on = results_of(outcome)
    assert values["kv_answers_equal"] == 1
    assert values["kv_throughput_ratio"] == pytest.approx(on["requests_per_s"] / off["requests_per_s"])
    assert values["kv_ttft_ratio"] == pytest.approx(off["ttft_s"]["p50"] / on["ttft_s"]["p50"])
    assert (off["kv"], off["hit_frac"], on["kv"]) == ("off", 0, "on")
    assert on["hit_frac"] > 0.5
    assert {item.provenance.value for item in outcome.measurements} == {"measured"}
    assert not (outcome.directory / "serve" / "kv").exists()


def test_documents_and_a_file_are_loads_too(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "load.jsonl").write_text('{"prompt": "the river"}\n{"turns": ["a city", " and a war"]}\n')
    outcome = bench(tiny_model, tmp_path, load=str(tmp_path / "load.jsonl"), kv=["on"])
    assert results_of(outcome)[0]["requests"] == 3
    outcome = bench(tiny_model, tmp_path, load="documents", documents=2, kv=["on"])
    assert results_of(outcome)[0]["requests"] == 4
    assert results_of(outcome)[0]["hit_frac"] > 0.3


def test_a_load_that_is_no_load_is_refused_before_anything_runs(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'chat'"):
        bench(tiny_model, tmp_path, load="chatt")


def test_the_verb_prints_the_keys_that_others_script_against(tiny_model: Path, tmp_path: Path) -> None:
    words = ("--streams", 2, "--prompt-tokens", 20, "--output-tokens", 3, "--turns", 1, "-o", "json")
    document = CommandLine(folder=tmp_path).call("bench", "serve", "--model", tiny_model, *words).json
    (result,) = document["results"]
    assert {"engine", "streams", "requests_per_s", "tokens_per_s", "ttft_s", "tpot_s", "hit_frac"} <= set(result)
    assert set(result["ttft_s"]) == set(result["tpot_s"]) == {"p50", "p99"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_load_client_that_somebody_kills_fails_the_step(tiny_model: Path, tmp_path: Path, number: int) -> None:
    class Killer(NullWatcher):
        def step_progressed(self, step: str, done: float, total: float, unit: str) -> None:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # it may have ended in between
                    if "bedplate.workers.load" in child.cmdline():
                        child.send_signal(number)

    step = {"use": "bench.serve", "model": str(tiny_model), **LOAD, "output_tokens": 64}
    pipeline = {"version": 1, "name": "bench", "steps": {"serve": step}}
    outcome = bedplate.run(pipeline, state=str(tmp_path / "state"), watcher=Killer(), check=False)
    assert outcome.status == "failed"
    assert signal.Signals(number).name in str(outcome.error)


def test_a_peer_that_is_no_url_is_refused_before_anything_starts(tiny_model: Path, tmp_path: Path) -> None:
    ended = CommandLine(folder=tmp_path).call("bench", "serve", "--model", tiny_model, "--vs", "vllm")
    assert ended.code == 2
    assert "http://host:port" in ended.err


def test_a_peer_is_measured_under_the_same_load(tiny_model: Path, tmp_path: Path) -> None:
    with serving(tiny_model) as url:
        words = ("--streams", 2, "--prompt-tokens", 20, "--output-tokens", 3, "--turns", 2, "--vs", url, "-o", "json")
        environment = {"OPENAI_API_KEY": "a-key"}
        document = (
            CommandLine(folder=tmp_path).call("bench", "serve", "--model", tiny_model, *words, environment=environment).json
        )
    ours, peer = document["results"]
    assert (ours["kv"], peer["kv"], peer["requests"]) == ("off", None, 4)
    values = {item["id"]: item["value"] for item in document["measurements"]}
    assert values["peer_throughput_ratio"] == pytest.approx(ours["requests_per_s"] / peer["requests_per_s"])
