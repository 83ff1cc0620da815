"""Claim: lm-evaluation-harness gets from `bedplate serve` what its own transformers backend gets from the same folder.

    python benchmarks/evaluation_harness.py [--data MODEL] [--peer PYTHON] [-o json]

The peer is lm-evaluation-harness in an environment of its own; `--peer` names the interpreter of one that is there. Its tasks
are files that are written here: multiple choice, free generation, and the perplexity of a text, each first by its `hf`
backend, then through the API:

    tokens    `local-completions` with tokens as prompts, 32 requests of four prompts at once
    text      the same with texts as prompts, one request at a time
    chat      `local-chat-completions`, generation with the model's chat template

Both compute in fp32 and sum in another order: the log-likelihood of a choice may not differ by more than 0.001, nor that of
the whole text, some 1,000 tokens, by 0.01; whether a choice is what greedy decoding gives, and every generated text, must be
the same. Exit code 1: the claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers.environment import LM_EVAL, python_of

from bedplate.app.toolchain.serve.common import find_model

KEY = "a-key-for-the-harness"
NAME = "model"
CONTEXT = 1024
MAX_DIFFERENCES = {"choices": 1e-3, "perplexity": 1e-2}
COPIES = 6
"""Times that the questions are asked, each time with another number before them: 32 requests of four prompts need some."""
TEXT = Path(__file__).parents[1] / "ARCHITECTURE.md"
QUESTIONS: list[tuple[str, list[str], int]] = [
    ("The capital of France is", [" Paris", " London", " a colour"], 0),
    ("Water freezes at", [" zero degrees Celsius", " fifty degrees Celsius"], 0),
    ("Two plus two equals", [" five", " four", " the sea"], 1),
    ("The opposite of hot is", [" cold", " warm", " 日本"], 0),
    ("A dog is an", [" animal", " mineral", "  number"], 0),
    ("Grüße aus", [" München", " dem Mond", "\n\nBerlin"], 0),
    ("She opened the door and", [" walked in.", " the the the", " 🙂 smiled"], 0),
    ("In 1969, humans first walked on the", [" Moon", " Sun", " sea floor"], 0),
]
TASKS: Mapping[str, Mapping[str, Any]] = {
    "choices": {
        "output_type": "multiple_choice",
        "doc_to_text": "query",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc"}],
    },
    "generation": {
        "output_type": "generate_until",
        "doc_to_text": "query",
        "doc_to_target": "answer",
        "generation_kwargs": {"until": ["\n", "."], "max_gen_toks": 24, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    },
    "perplexity": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "metric_list": [{"metric": "byte_perplexity"}],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Answers of one task through the API, beside those of the `hf` backend."""

    way: str
    task: str
    answers: int
    equal: int
    """Greedy flags or generated texts that are the same."""
    max_difference: float | None
    """Of log-likelihoods, in nats. None: the task has none."""
    holds: bool


def main() -> int:
    """Evaluate and print a table, or JSON; the exit code tells whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="smollm2-135m-instruct", help="model folder, or the name of a fetched model")
    parser.add_argument("--peer", type=Path, help="interpreter of an environment with lm_eval; by default one is made")
    parser.add_argument("-o", "--output", default="table", choices=["table", "json"])
    words = parser.parse_args()
    model, peer = find_model(words.data), python_of(LM_EVAL, words.peer)
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(peer, Path(folder))
        rows = _compare(harness, model)
    machine = f"{platform.machine()}, peer {LM_EVAL.requirements[0]}"
    if words.output == "json":
        json.dump({"machine": machine, "results": [asdict(row) for row in rows]}, sys.stdout, indent=2)
    else:
        _print(rows, f"{machine}; provenance: measured")
    return 0 if all(row.holds for row in rows) else 1


def _compare(harness: Harness, model: Path) -> list[Comparison]:
    local = f"pretrained={model},dtype=float32,max_length={CONTEXT}"
    plain = harness.run("hf", local, TASKS, "--device", "cpu")
    chat = harness.run("hf", local, ["generation"], "--device", "cpu", "--apply_chat_template")
    with _serving(model) as url:
        common = f"model={NAME},base_url={url}/v1/completions,tokenizer={model},max_length={CONTEXT}"
        tokens = harness.run("local-completions", f"{common},num_concurrent=32", TASKS)
        text = harness.run("local-completions", f"{common},tokenized_requests=False", TASKS)
        chats = f"model={NAME},base_url={url}/v1/chat/completions"
        talk = harness.run("local-chat-completions", chats, ["generation"], "--apply_chat_template")
    return [
        *(_row("tokens", task, plain[task], tokens[task]) for task in TASKS),
        *(_row("text", task, plain[task], text[task]) for task in TASKS),
        _row("chat", "generation", chat["generation"], talk["generation"]),
    ]


class Harness:
    """Runs the harness on tasks of its own, in a folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder, self._num_runs = python, folder, 0
        rows: dict[str, list[dict[str, Any]]] = {
            "choices": [
                {"query": f"{copy}. {query}", "choices": choices, "gold": gold}
                for copy in range(COPIES)
                for query, choices, gold in QUESTIONS
            ],
            "generation": [{"query": query, "answer": choices[gold]} for query, choices, gold in QUESTIONS],
            "perplexity": [{"text": TEXT.read_text()}],
        }
        for name, task in TASKS.items():
            data = folder / f"{name}.jsonl"
            data.write_text("".join(json.dumps(row) + "\n" for row in rows[name]))
            source = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test"}
            (folder / f"{name}.yaml").write_text(json.dumps({"task": f"own_{name}", **source, **task}))  # JSON is YAML

    def run(self, model: str, arguments: str, tasks: Collection[str], *words: str) -> dict[str, list[Any]]:
        """The answers to each task, in order of the questions."""
        self._num_runs += 1
        out = self._folder / f"out-{self._num_runs}"
        print(f"harness: {model}, {', '.join(tasks)}", file=sys.stderr)
        names = ",".join(f"own_{task}" for task in tasks)
        command: list[str | Path] = [
            self._python,
            "-m",
            "lm_eval",
            "--model",
            model,
            "--model_args",
            arguments,
            "--tasks",
            names,
        ]
        command += ["--include_path", self._folder, "--output_path", out, "--log_samples", "--batch_size", "4", *words]
        own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(self._folder / "cache"), "OPENAI_API_KEY": KEY}
        done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            sys.exit(f"the harness failed with {model}:\n{done.stderr[-4000:]}")
        return {task: self._answers(out, task) for task in tasks}

    def _answers(self, out: Path, task: str) -> list[Any]:
        (file,) = out.glob(f"*/samples_own_{task}_*.jsonl")
        rows = sorted((json.loads(line) for line in file.read_text().splitlines()), key=lambda row: row["doc_id"])
        return [answer for row in rows for answer in row["filtered_resps"]]


@contextmanager
def _serving(model: Path) -> Iterator[str]:
    """URL of a server of the model, in fp32."""
    command = [sys.executable, "-m", "bedplate", "serve", str(model), "--name", NAME, "--port", "0", "--kv", "off"]
    server = subprocess.Popen(
        [*command, "--dtype", "float32", "--api-key", KEY, "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)


def _row(way: str, task: str, theirs: list[Any], ours: list[Any]) -> Comparison:
    pairs = list(zip(theirs, ours, strict=True))
    if task == "choices":  # [log-likelihood, whether it is what greedy decoding gives]
        largest: float | None = max(abs(float(one[0]) - float(other[0])) for one, other in pairs)
        equal = sum(str(one[1]) == str(other[1]) for one, other in pairs)
    elif task == "perplexity":  # log-likelihood
        largest, equal = max(abs(float(one) - float(other)) for one, other in pairs), len(pairs)
    else:
        largest, equal = None, sum(one == other for one, other in pairs)
    holds = equal == len(pairs) and (largest is None or largest <= MAX_DIFFERENCES[task])
    return Comparison(way=way, task=task, answers=len(pairs), equal=equal, max_difference=largest, holds=holds)


def _print(rows: list[Comparison], about: str) -> None:
    print(f"{'way':8} {'task':12} {'answers':>8} {'equal':>6} {'max difference':>15}  holds")
    for row in rows:
        largest = "-" if row.max_difference is None else f"{row.max_difference:.2g}"
        print(f"{row.way:8} {row.task:12} {row.answers:8} {row.equal:6} {largest:>15}  {'yes' if row.holds else 'NO'}")
    print(about)


if __name__ == "__main__":
    sys.exit(main())
