"""Claim: with all cores, in the way `bedplate serve` uses them, a server prefills at least as fast as on one core.

Decoding of a single stream may lose 6 %: with several streams, for which servers are run, all cores in decode steps gain more.

    python benchmarks/serve_threads.py [--data MODEL] [--work serve,forward,train] [--neighbour] [--rounds N] [-o json]

A second thread can make a small model slower: it sleeps at the end of every operator, and waking a sleeping core, a virtual
one most of all, takes longer than its share of the work. How long it spins before it sleeps is libgomp's GOMP_SPINCOUNT
(turns of a loop, some 15 ns each) and OMP_WAIT_POLICY. Each setting runs in a fresh process:

    serve     a server and its client over HTTP, one stream: prefill and decoding, in tokens/s
    forward   long batches without gradient, as compression judges a model by them, in tokens/s
    train     forward, backward and an optimizer step of 2 x 256 tokens, in tokens/s

Rounds rotate the order of the settings, and medians over rounds and requests are compared with one core. `--neighbour` lets
another process spin on the last core. Nothing else may run: a busy machine is waited for, then refused; every value carries
the share of the processors that other work took. Exit code 1: the claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bedplate.app.toolchain.serve.common import ENVIRONMENT, find_model
from bedplate.core.errors import BedplateError
from bedplate.core.json import Json, JsonObject
from bedplate.core.task import TaskContext
from bedplate.operations.host.other_work import OtherWork, tree_cpu_s

BASELINE = "one core"
CHOSEN = "chosen"
TOLERANCE = {"prefill": 0.97, "decode": 0.94}
"""A ratio from here on counts as equal: medians of three rounds on an idle machine differ by 1 to 2 %."""
BUSY_FRAC = 0.05
WAIT_FOR_IDLE_S = 60.0
LOAD: JsonObject = {"kind": "plain", "streams": 1, "turns": 4, "prompt_tokens": 512, "output_tokens": 48, "seed": 0}
SPINS = (2_000, 20_000, 200_000, 2_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a process uses the cores."""

    name: str
    cores: tuple[int, ...]
    """Cores that the process may use: server, client and event loop."""
    threads: int | None
    """Threads of the linear algebra; None: as many as the server chooses."""
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Tokens/s of one run."""

    work: str
    setting: str
    tokens_per_s: float
    busy_frac: float | None


def main() -> int:
    """Measure and print a table, or JSON; the exit code tells whether the claim holds."""
    words = _words()
    if words.child:
        print(json.dumps(_CHILDREN[words.child](json.load(sys.stdin))))
        return 0
    model, settings = str(find_model(words.data)), _settings()
    values: list[Value] = []
    with _neighbour(settings[-1].cores[-1]) if words.neighbour else _nobody():
        for turn in range(words.rounds):
            rotated = [*settings[turn % len(settings) :], *settings[: turn % len(settings)]]
            for work in words.work.split(","):
                for setting in rotated:
                    _wait_until_idle(force=words.force or words.neighbour)
                    values += _measure(work, setting, model)
                    print(f"round {turn + 1} of {words.rounds}: {work}, {setting.name}", file=sys.stderr)
    document = _document(values, words)
    if words.output == "json":
        json.dump(document, sys.stdout, indent=2)
    else:
        _print(document)
    return 0 if document["holds"] else 1


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="smollm2-135m-instruct", help="model folder, or the name of a fetched model")
    parser.add_argument("--work", default="serve", help="serve, forward, train, or several with commas")
    parser.add_argument("--neighbour", action="store_true", help="let another process spin on the last core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--force", action="store_true", help="measure although other work runs")
    parser.add_argument("-o", "--output", default="table", choices=["table", "json"])
    parser.add_argument("--child", choices=list(_CHILDREN), help=argparse.SUPPRESS)
    return parser.parse_args()


def _settings() -> list[Setting]:
    cores = tuple(sorted(os.sched_getaffinity(0)))
    if len(cores) == 1:
        sys.exit("one core alone: there is nothing to compare")

    def all_cores(name: str, environment: Mapping[str, str]) -> Setting:
        return Setting(name=name, cores=cores, threads=len(cores), environment=environment)

    return [
        Setting(name=BASELINE, cores=cores[:1], threads=1, environment={}),
        Setting(name="one thread", cores=cores, threads=1, environment={}),
        all_cores("no spinning", {"OMP_WAIT_POLICY": "passive"}),
        *(all_cores(f"spin {spin:,}", {"GOMP_SPINCOUNT": str(spin)}) for spin in SPINS),
        all_cores("libgomp's default", {}),
        Setting(name=CHOSEN, cores=cores, threads=None, environment=ENVIRONMENT),
    ]


def _measure(work: str, setting: Setting, model: str) -> list[Value]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    spec = {"cores": setting.cores, "threads": setting.threads, "model": model}
    others = OtherWork(own_cpu_s=tree_cpu_s)
    done = subprocess.run(
        [sys.executable, __file__, "--child", work],
        input=json.dumps(spec),
        env={**inherited, "OMP_NUM_THREADS": str(setting.threads or len(setting.cores)), **setting.environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rates = json.loads(done.stdout.splitlines()[-1])
    busy_frac = others.busy_frac()
    return [
        Value(work=name, setting=setting.name, tokens_per_s=rate, busy_frac=busy_frac)
        for name, found in rates.items()
        for rate in found
    ]


def _serve(spec: Mapping[str, Any]) -> dict[str, list[float]]:
    from bedplate.core.messages import decode
    from bedplate.toolchain.load.messages import LoadResult
    from bedplate.workers.serve_load import main as serve_load

    os.sched_setaffinity(0, spec["cores"])
    engine: JsonObject = {"context_tokens": 1024, "threads": spec["threads"]}
    serve: JsonObject = {"model": spec["model"], "name": "model", "engine": engine}
    result = serve_load(
        TaskContext(
            gang="threads",
            rank=0,
            world_size=1,
            rendezvous="127.0.0.1:0",
            spec={"serve": serve, "load": LOAD},
            cores=tuple(spec["cores"]),
            channel=_NoChannel(),
        )
    )
    if "error" in result:
        raise BedplateError.from_json(result["error"])  # type: ignore[arg-type]
    requests = decode(LoadResult, result).requests
    return {
        "prefill": [request.prompt_tokens / request.first_token_s for request in requests],
        "decode": [1 / request.per_token_s for request in requests if request.per_token_s],
    }


def _forward(spec: Mapping[str, Any]) -> dict[str, list[float]]:
    import torch

    model, tokens = _load(spec, (4, 512))
    with torch.inference_mode():
        return {"forward": _rates(lambda: model.logits(model(tokens)), tokens.numel(), times=6)}


def _train(spec: Mapping[str, Any]) -> dict[str, list[float]]:
    import torch
    import torch.nn.functional as F

    model, tokens = _load(spec, (2, 257))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step() -> None:
        logits = model.logits(model(tokens[:, :-1]))
        F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return {"train": _rates(step, tokens.numel(), times=6)}


_CHILDREN = {"serve": _serve, "forward": _forward, "train": _train}


class _NoChannel:
    def heartbeat(self) -> None:
        pass

    def progress(self, attributes: Mapping[str, Json]) -> None:
        pass


def _load(spec: Mapping[str, Any], shape: tuple[int, int]) -> tuple[Any, Any]:
    import torch

    from bedplate.toolchain.models.folder import load_model

    os.sched_setaffinity(0, spec["cores"])
    torch.set_num_threads(spec["threads"] or len(spec["cores"]))
    model = load_model(Path(spec["model"]), torch.bfloat16)
    return model, torch.randint(model.config.vocab_size, shape, generator=torch.Generator().manual_seed(0))


def _rates(step: Any, num_tokens: int, times: int) -> list[float]:
    rates = []
    for _ in range(times + 2):
        started_s = time.perf_counter()
        step()
        rates.append(num_tokens / (time.perf_counter() - started_s))
    return rates[2:]  # the first two warm up


def _wait_until_idle(*, force: bool) -> None:
    deadline_s = time.monotonic() + WAIT_FOR_IDLE_S
    while not force:
        others = OtherWork(own_cpu_s=tree_cpu_s)
        time.sleep(1.0)
        busy_frac = others.busy_frac()
        if busy_frac is None or busy_frac <= BUSY_FRAC:
            return
        if time.monotonic() > deadline_s:
            sys.exit(f"other work takes {busy_frac:.0%} of the processors: stop it, or measure with --force")


@contextmanager
def _neighbour(core: int) -> Iterator[None]:
    spin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", spin])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def _document(values: Sequence[Value], words: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for work in dict.fromkeys(value.work for value in values):
        medians = {
            setting: statistics.median(value.tokens_per_s for value in values if (value.work, value.setting) == (work, setting))
            for setting in dict.fromkeys(value.setting for value in values)
        }
        rows += [
            {"work": work, "setting": name, "tokens_per_s": rate, "ratio": rate / medians[BASELINE]}
            for name, rate in medians.items()
        ]
    held = [row["ratio"] >= TOLERANCE[row["work"]] for row in rows if row["setting"] == CHOSEN and row["work"] in TOLERANCE]
    return {
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "model": words.data,
        "seed": LOAD["seed"],
        "rounds": words.rounds,
        "neighbour": words.neighbour,
        "chosen": dict(ENVIRONMENT),
        "holds": all(held),
        "results": rows,
        "values": [asdict(value) for value in values],
    }


def _print(document: Mapping[str, Any]) -> None:
    print(f"{document['machine']}, {document['cores']} cores, {document['model']}, medians of {document['rounds']} rounds")
    print(f"chosen: {document['chosen']}; " + ("it holds" if document["holds"] else "it does not hold"))
    for row in document["results"]:
        print(f"  {row['work']:8} {row['setting']:18} {row['tokens_per_s']:9.1f} tokens/s   {row['ratio']:5.2f} x one core")


if __name__ == "__main__":
    sys.exit(main())
