"""What serving a model and measuring it have in common: which folder, which KV store, which cores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from bedplate.app.toolchain.models.fetch import MODEL_NAME, model_folder
from bedplate.core.errors import NotFoundError, nearest
from bedplate.core.json import digest
from bedplate.core.paths import cache_home
from bedplate.core.settings import Input, about_setting, looks_like_path
from bedplate.core.workload import Resources
from bedplate.engines.base import Engine, num_usable_cores
from bedplate.toolchain.models.catalog import MODELS
from bedplate.toolchain.models.stored import inspect_model

ModelInput = Annotated[str, Input(or_name="the name of a fetched model", name_pattern=MODEL_NAME)]
"""Settings type: a model folder, or the name of a model in the cache."""
ENVIRONMENT = {"GOMP_SPINCOUNT": "2000"}
"""Of a serving task. A server shares its cores with its clients and the event loop, and a thread pool that spins for
milliseconds at each of its hundreds of barriers then waits for complete time slices: on a busy machine this bound (some 30 µs)
made prefill 2 to 4 times and decoding 4 to 7 times as quick. Sleeping immediately would cost a wake-up at each barrier."""


def find_model(word: str) -> Path:
    """The folder of a model: a folder as it is, else what `bedplate model fetch` put into the cache under that name.

    A text that does not begin like a path is a name: a folder of that name in the working directory is not looked for.

    Raises:
        NotFoundError: Neither; says how to fetch it, or the nearest known name.
    """
    is_path = looks_like_path(word)
    folder = Path(word).expanduser() if is_path else model_folder(word)
    if (folder / "config.json").is_file():
        return folder.absolute()
    if is_path:
        raise NotFoundError("not a model folder", seen=folder, expected="config.json, *.safetensors and tokenizer.json")
    near = word if word in MODELS else nearest(word, MODELS)
    raise NotFoundError(
        f"no model '{word}'",
        seen="neither a model folder nor a fetched model",
        expected="a folder with config.json and *.safetensors, or the name of a fetched model",
        next_step=f"bedplate model fetch {near}" if near else "bedplate model fetch NAME",
    )


def check_model(word: str) -> None:
    """Judge the setting `model` before the steps have run that may bring it: a folder of a model, or a name that exists.

    A reference to a step that is not done is not judged, nor whether a name was fetched already.

    Raises:
        NotFoundError, UsageError, IntegrityError: A folder that is no model, or a name that nothing has.
    """
    with about_setting("model"):
        if looks_like_path(word):
            inspect_model(find_model(word))
        elif re.fullmatch(MODEL_NAME, word) and word not in MODELS and "/" not in word:
            find_model(word)


def kv_url(directory: Path, memory_bytes: int, disk_bytes: int) -> str:
    """URL of a KV store in a directory."""
    return f"kv://{quote(str(directory.absolute()))}?memory={memory_bytes}&disk={disk_bytes}"


def kv_directory(model: Path) -> Path:
    """Where a model's KV memory is kept in the user's cache; two folders of one name do not share it."""
    return cache_home() / "kv" / f"{model.name}-{digest(str(model))[:8]}"


def all_cores(engine: Engine) -> Resources:
    """Every core of the engine's largest node that was not excluded."""
    return Resources(cpus=max([1, *num_usable_cores(engine).values()]))
