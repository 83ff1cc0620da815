"""A file of another format becomes a model folder: complete, or not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedplate.core.files import replacing_folder
from bedplate.core.reporter import Reporter
from bedplate.toolchain.models.card import ModelCard, ModelKind, is_result_of, write_card


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertJob:
    """One file, one folder; the spec of the worker."""

    file: Path
    """GGUF."""
    folder: Path
    """Where the result appears; an earlier conversion there is replaced."""
    about: ModelCard
    """What the card says."""


def convert(job: ConvertJob, reporter: Reporter) -> ModelCard:
    """Unpack the file's weights to bf16 and write folder and card; returns the card.

    Raises:
        UsageError: `job.folder` exists and is no earlier result, or the file holds another architecture.
        IntegrityError: The file is damaged.
    """
    from bedplate.toolchain.models.gguf import convert_gguf

    with replacing_folder(job.folder, is_converted) as aside:
        reporter.say(f"unpacking {job.file.name} to bf16")
        convert_gguf(job.file, aside, lambda: reporter.progress(0, 0, ""))
        return write_card(aside, job.about)


def is_converted(folder: Path) -> bool:
    """Whether a conversion made this folder, and nothing was added to it since."""
    return is_result_of(folder, ModelKind.CONVERTED)
