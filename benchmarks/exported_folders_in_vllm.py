"""Claim: folders that bedplate fetches, trains and compresses load in vLLM, and every token has the same log-probability there.

    python benchmarks/exported_folders_in_vllm.py [--data MODEL] [--peer PYTHON] [-o json]

The peer is vLLM's CPU build in an environment of its own; `--peer` names the interpreter of one that is there. The text is
the first 200 tokens of ARCHITECTURE.md. Compared are the folder of the model, a training result of two steps, and what
`int8-linear` makes of the model; `int8` is not for vLLM and must be refused. Two number formats:

    float32   both compute the same function and sum in another order: no token may differ by more than 0.001
    bfloat16  30 layers rounded to 8 bits: in the mean over the tokens, vLLM and ours may differ from each other by twice as
              much as our bf16 differs from our fp32; rounding that is independent makes it 1.4 times

vLLM has no kernel for 8-bit weights on CPUs (it has on GPUs), so `int8-linear` is multiplied by a reference in plain torch; its
reading is vLLM's own. Exit code 1: the claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peers.environment import VLLM, python_of

import bedplate
from bedplate.app.toolchain.serve.common import find_model
from bedplate.core.json import Json
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.tokenizer import load_tokenizer

TEXT = Path(__file__).parents[1] / "ARCHITECTURE.md"
NUM_TOKENS = 200
MAX_DIFFERENCE_FP32 = 1e-3
BF16_FACTOR = 2.0
REFUSED = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One folder in one number format; differences are of log-probabilities, in nats."""

    folder: str
    dtype: str
    kernel: str
    """Who multiplies: vLLM (`its own`), or the reference; `refused`: vLLM does not load it."""
    max_difference: float | None
    mean_difference: float | None
    allowed: str
    holds: bool


def main() -> int:
    """Compare and print a table, or JSON; the exit code tells whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="smollm2-135m-instruct", help="model folder, or the name of a fetched model")
    parser.add_argument("--peer", type=Path, help="interpreter of an environment with vLLM; by default one is made")
    parser.add_argument("-o", "--output", default="table", choices=["table", "json"])
    words = parser.parse_args()
    model, peer = find_model(words.data), python_of(VLLM, words.peer)
    tokens = load_tokenizer(model).encode(TEXT.read_text()).ids[:NUM_TOKENS]
    with tempfile.TemporaryDirectory() as state:
        folders = {"fetched": model, **_made_of(model, Path(state))}
        rows = [_compare(peer, name, folder, dtype, tokens) for name, folder in folders.items() for dtype in _dtypes(name)]
    machine = f"{platform.machine()}, torch {torch.__version__}, peer {' '.join(VLLM.requirements)}"
    if words.output == "json":
        json.dump({"machine": machine, "tokens": len(tokens), "folders": [asdict(row) for row in rows]}, sys.stdout, indent=2)
    else:
        _print(rows, f"{machine}; {len(tokens)} tokens, provenance: measured")
    return 0 if all(row.holds for row in rows) else 1


def _made_of(model: Path, state: Path) -> dict[str, Path]:
    """A training result and a compressed model of each scheme."""
    text = state / "text.jsonl"
    paragraphs = TEXT.read_text().split("\n\n") * 3
    text.write_text("".join(json.dumps({"text": paragraph}) + "\n" for paragraph in paragraphs))
    compress: dict[str, Json] = {"use": "compress", "model": str(model), "data": "$corpus", "tokens": 512, "context": 256}
    train: dict[str, Json] = {"use": "train", "model": str(model), "data": "$corpus", "tokens": 512, "sequence": 128}
    steps: dict[str, Json] = {
        "corpus": {"use": "data.text", "source": str(text), "model": str(model), "validation": "30%"},
        "trained": {**train, "accumulate": 2, "learning_rate": 1e-3, "evaluate": {"tokens": 0}},
        "int8-linear": {**compress, "schemes": ["int8-linear"], "max_perplexity_rise": "100%"},
        "int8": {**compress, "schemes": ["int8"], "max_perplexity_rise": "100%"},
    }
    outcome = bedplate.run({"version": 1, "name": "folders", "steps": steps}, new=True, state=str(state))
    if outcome.error is not None:
        raise outcome.error
    made = {name: outcome.path_of(name) for name in steps if name != "corpus"}
    assert all(made.values())
    return {name: path for name, path in made.items() if path is not None}


def _dtypes(name: str) -> tuple[str, ...]:
    return ("bfloat16",) if name == REFUSED else ("float32", "bfloat16")


def _compare(peer: Path, name: str, folder: Path, dtype: str, tokens: list[int]) -> Comparison:
    print(f"{name}, {dtype}", file=sys.stderr)
    script = Path(__file__).parent / "peers" / "vllm_logprobs.py"
    given = json.dumps(tokens)
    done = subprocess.run([peer, script, folder, dtype], input=given, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        if name != REFUSED:
            print(done.stderr, file=sys.stderr)
        return _refused(name, dtype)
    answer = json.loads(done.stdout.splitlines()[-1])
    theirs, ours = torch.tensor(answer["logprobs"]), _ours(folder, dtype, tokens)
    differences = (theirs - ours).abs()
    largest, mean = float(differences.max()), float(differences.mean())
    if dtype == "float32":
        allowed, holds = f"max {MAX_DIFFERENCE_FP32:g}", largest <= MAX_DIFFERENCE_FP32
    else:
        limit = BF16_FACTOR * float((ours - _ours(folder, "float32", tokens)).abs().mean())
        allowed, holds = f"mean {limit:.2g}", mean <= limit
    return Comparison(
        folder=name,
        dtype=dtype,
        kernel=answer["kernel"],
        max_difference=largest,
        mean_difference=mean,
        allowed=allowed,
        holds=holds and name != REFUSED,
    )


def _refused(name: str, dtype: str) -> Comparison:
    expected = name == REFUSED
    return Comparison(
        folder=name,
        dtype=dtype,
        kernel="refused",
        max_difference=None,
        mean_difference=None,
        allowed="refused" if expected else "",
        holds=expected,
    )


def _ours(folder: Path, dtype: str, tokens: list[int]) -> torch.Tensor:
    """Log-probability of each token but the first, shape (num_tokens - 1,)."""
    model = load_model(folder, getattr(torch, dtype))
    with torch.inference_mode():
        logprobs = model.logits(model(torch.tensor([tokens])))[0, :-1].float().log_softmax(-1)
    return logprobs.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]


def _print(rows: list[Comparison], about: str) -> None:
    print(f"{'folder':12} {'numbers':9} {'kernel':10} {'max':>9} {'mean':>9}  {'allowed':14} holds")
    for row in rows:
        numbers = ["-" if value is None else f"{value:.2g}" for value in (row.max_difference, row.mean_difference)]
        sure = "yes" if row.holds else "NO"
        print(f"{row.folder:12} {row.dtype:9} {row.kernel:10} {numbers[0]:>9} {numbers[1]:>9}  {row.allowed:14} {sure}")
    print(about)


if __name__ == "__main__":
    sys.exit(main())
