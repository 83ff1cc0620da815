"""Claim: KV memory multiplies the throughput of a multi-turn chat, cuts its time to first token, and changes no answer.

    python benchmarks/serve_kv_memory.py [--data MODEL] [--load chat|documents] [--rounds N] [-o json]

Each setting runs in a fresh server process with a fresh store, the client in another process, over HTTP. With several
rounds the order alternates (off, on; on, off; …) and medians over the rounds are reported. A load without anything to reuse
(`plain`) runs too: memory must cost it next to nothing. There is no peer here: engines of others join with the inference
work; a gain over our own engine without memory proves nothing about theirs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from typing import Any

import bedplate

RATIOS = ("kv_throughput_ratio", "kv_ttft_ratio", "kv_answers_equal", "kv_hit_frac")


def main() -> int:
    """Run the loads and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="smollm2-135m-instruct", help="model folder, or the name of a fetched model")
    parser.add_argument("--load", default="chat", choices=["chat", "documents"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", default="table", choices=["table", "json"])
    words = parser.parse_args()
    loads = {words.load: {}, "plain": {"prompt_tokens": 512, "turns": 2}}
    with tempfile.TemporaryDirectory() as folder:
        rows = {load: _measure(words, load, settings, folder) for load, settings in loads.items()}
    machine = platform.processor() or platform.machine()
    document = {"machine": machine, "seed": words.seed, "rounds": words.rounds, "loads": rows}
    if words.output == "json":
        json.dump(document, sys.stdout, indent=2)
        return 0
    print(f"{machine}, seed {words.seed}, medians of {words.rounds} rounds, fresh process and store each")
    for load, row in rows.items():
        print(load, *(f"{name} {value:.3g}" for name, value in row.items()), sep="\n  ")
    return 0


def _measure(words: argparse.Namespace, load: str, settings: dict[str, Any], folder: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for turn in range(words.rounds):
        step = {
            "use": "bench.serve",
            "model": words.data,
            "load": load,
            "kv": ["off", "on"] if turn % 2 == 0 else ["on", "off"],
            "seed": words.seed,
            **settings,
        }
        outcome = bedplate.run({"version": 1, "name": "kv-memory", "steps": {"serve": step}}, new=True, state=folder)
        for item in outcome.measurements:
            if item.value is not None and (item.id in RATIOS or item.id.startswith("serve_")):
                values.setdefault(item.id, []).append(item.value)
    return {name: statistics.median(found) for name, found in values.items()}


if __name__ == "__main__":
    sys.exit(main())
