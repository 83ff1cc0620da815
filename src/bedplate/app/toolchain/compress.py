"""Make a model smaller and say what it cost: size, held-out perplexity, divergence, decoding speed, compared with the original.

Int8 weight-only: each weight matrix keeps one byte per weight and one scale per output channel. A result whose perplexity
rises by more than the gate allows fails the step, so that nothing worse than agreed is served.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from bedplate.app.pipeline.contract.gangs import run_gang, show_progress
from bedplate.app.pipeline.contract.measured import measured_in
from bedplate.app.pipeline.contract.step import PlanContext, ResultKind, StepContext, StepResult
from bedplate.app.toolchain.data import text as data_text
from bedplate.app.toolchain.serve.common import ModelInput, all_cores, check_model, find_model
from bedplate.core.errors import UsageError
from bedplate.core.events.event import Severity
from bedplate.core.events.kinds import CompressJudged, make_event
from bedplate.core.figures import ResultTable
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.messages import decode, encode
from bedplate.core.settings import Input, Range, about_setting, looks_like_path, settings
from bedplate.core.text import text
from bedplate.core.units import Count, Fraction, format_bytes
from bedplate.core.workload import Gang, Resources, Task, TaskEvent
from bedplate.toolchain.compress.job import CompressJob, CompressOutcome, Scheme, SchemeResult, check_out, is_accepted
from bedplate.toolchain.data.catalog import TEXTS
from bedplate.toolchain.data.corpus import is_corpus
from bedplate.toolchain.data.layout import DERIVED
from bedplate.toolchain.data.text_files import find_text_files
from bedplate.toolchain.models.card import read_card
from bedplate.toolchain.models.stored import inspect_model

EXPLANATION = text("Store each weight in one byte instead of two, and measure what that costs in quality and gains in speed.")
DEFAULT_TEXT = "wikipedia-sample"


@settings
class Settings:
    """Keys of a `compress` step."""

    model: ModelInput
    """Folder of the model, or the name of a fetched model."""
    schemes: tuple[Scheme, ...] = (Scheme.INT8,)
    """Schemes to try: `int8` (the smallest), `int8-linear` (embedding table and head stay bf16; what vLLM loads, on GPUs). The
    first is what later steps get."""
    data: Annotated[str, Input(words=tuple(TEXTS), derived=DERIVED)] | None = None
    """Corpus (its held-out part) or text to evaluate on; by default what the model was trained on, else wikipedia-sample."""
    tokens: Annotated[Count, Range(2)] = 8192
    """Number of held-out tokens to evaluate on."""
    context: Annotated[Count, Range(2)] = 1024
    """Tokens per window."""
    max_perplexity_rise: Fraction = 0.005
    """Gate: maximum rise in perplexity, as a fraction of the original's."""

    def __post_init__(self) -> None:
        if not self.schemes or len(set(self.schemes)) < len(self.schemes):
            seen = ", ".join(self.schemes) or "none"
            raise UsageError("'schemes' must name distinct schemes", seen=seen, expected="[int8] or [int8, int8-linear]")


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    """What would be compressed, and what it would be judged on.

    Raises:
        NotFoundError, UsageError: No such model, or text in a form that cannot be read.
    """
    check_model(settings.model)
    if looks_like_path(settings.model):
        _check_plain(Path(settings.model))
    if settings.data is not None and looks_like_path(settings.data) and not is_corpus(Path(settings.data)):
        with about_setting("data"):
            find_text_files(Path(settings.data))
    schemes = ", ".join(settings.schemes)
    return (
        f"compress {settings.model} with {schemes}",
        f"evaluate it on {settings.tokens} held-out tokens; a perplexity rise above {settings.max_perplexity_rise:.1%} fails",
    )


def run(settings: Settings, context: StepContext) -> StepResult:
    """Compress, measure, and hold the result to the gate; `path` is the folder of the first scheme.

    Raises:
        NotFoundError: No model there.
        UsageError: No such scheme, a model that is compressed already, held-out text that is too short, or a result folder
            that is the model or holds something else.
        CheckFailedError: Weights that are not numbers, or a perplexity above the gate.
    """
    folders: dict[str, Path] = {scheme: context.directory / scheme for scheme in settings.schemes}
    results = compress(settings, folders, context)
    first = settings.schemes[0]
    return StepResult(
        path=folders[first],
        kind=ResultKind.MODEL,
        outputs=as_json(results),
        measurements=_measurements(results, context),
        tables=(_table(results),),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionResults:
    """The table, and what it was measured on."""

    base: SchemeResult
    schemes: tuple[SchemeResult, ...]
    text: str
    tokens: int
    context: int


def compress(settings: Settings, folders: Mapping[str, Path], context: StepContext) -> CompressionResults:
    """Compress by each scheme into its folder, and measure; raises as `run` does.

    A folder gets its result only once that has passed the gate; an earlier result in it stays until then.
    """
    model = find_model(settings.model)
    _check(model, folders)
    corpus = _held_out(settings, model, context)
    outcomes = [
        _run_worker(
            CompressJob(
                model=model,
                corpus=corpus,
                out=out.absolute(),
                scheme=scheme,
                context=settings.context,
                max_tokens=settings.tokens + 1,
                max_perplexity_rise=settings.max_perplexity_rise,
            ),
            context,
        )
        for scheme, out in folders.items()
    ]
    return CompressionResults(
        base=outcomes[0].base,
        schemes=tuple(outcome.scheme for outcome in outcomes),
        text=f"held-out text of {_name_of(corpus)}",
        tokens=outcomes[0].tokens,
        context=settings.context,
    )


def as_json(results: CompressionResults) -> dict[str, Any]:
    """The document of `compress -o json`."""
    units = {"size": "bytes", "kl_to_base": "nats per token", "tokens_per_s": "decoded tokens/s over the batch"}
    return {**encode(results), "units": units}


def _check(model: Path, folders: Mapping[str, Path]) -> None:
    """The quick checks, before minutes are spent."""
    _check_plain(model)
    for out in folders.values():
        check_out(model, out)


def _check_plain(model: Path) -> None:
    with about_setting("model"):
        if not inspect_model(model).is_plain:
            raise UsageError("the model is already compressed", seen=model, expected="a model with plain weights")


def _run_worker(job: CompressJob, context: StepContext) -> CompressOutcome:
    cpus = min(all_cores(context.engine).cpus, context.needs.workers.want * context.needs.cpus_per_worker)
    task = Task(entry="bedplate.workers.compress:main", spec=encode(job), resources=Resources(cpus=cpus))
    gang = Gang(name=f"compress-{job.scheme}", tasks=(task,))

    def take(event: TaskEvent) -> None:
        if "judged" in event.attributes:
            _emit_judged(decode(CompressOutcome, event.attributes["judged"]), job, context)
        show_progress(context.reporter, event)

    return decode(CompressOutcome, run_gang(context.engine, gang, context.reporter, take).tasks[0].result)


def _emit_judged(outcome: CompressOutcome, job: CompressJob, context: StepContext) -> None:
    judged = CompressJudged(
        scheme=job.scheme,
        size_before_bytes=outcome.base.size_bytes,
        size_after_bytes=outcome.scheme.size_bytes,
        perplexity_rise_frac=outcome.perplexity_rise_frac,
        max_perplexity_rise_frac=job.max_perplexity_rise,
        is_accepted=is_accepted(outcome, job.max_perplexity_rise),
    )
    sizes = f"{format_bytes(judged.size_before_bytes)} -> {format_bytes(judged.size_after_bytes)}"
    verdict = "accepted" if judged.is_accepted else "refused"
    message = f"{job.scheme}: {sizes}, perplexity {judged.perplexity_rise_frac:+.2%}, {verdict}"
    severity = Severity.INFO if judged.is_accepted else Severity.WARNING
    event = make_event(judged, at_s=context.clock.now(), message=message, severity=severity, source="compress")
    context.events.emit(event)


def _held_out(settings: Settings, model: Path, context: StepContext) -> Path:
    card = read_card(model)
    trained_on = Path(card.corpus) if card and card.corpus else None
    if settings.data is None and trained_on and (trained_on / "manifest.json").is_file():
        return trained_on
    source = settings.data or DEFAULT_TEXT
    if source not in TEXTS and (Path(source) / "manifest.json").is_file():
        return Path(source).expanduser().absolute()
    if settings.data is None:
        context.reporter.say(f"the model names no training corpus; evaluating on {DEFAULT_TEXT}")
    share = 0.05 if source == DEFAULT_TEXT else 1.0
    inner = dataclasses.replace(context, directory=context.directory / "text")
    made = data_text.run(data_text.Settings(source=source, validation=share), inner)
    assert made.path is not None
    return made.path


def _name_of(corpus: Path) -> str:
    from bedplate.toolchain.data.corpus import read_corpus_manifest

    return str(read_corpus_manifest(corpus).get("source", corpus))


def _measurements(results: CompressionResults, context: StepContext) -> tuple[Measurement, ...]:
    values: dict[str, float | None] = {}
    for row in results.schemes:
        name, base = row.name.replace("-", "_"), results.base
        values |= {
            f"ppl_{name}": row.perplexity,
            f"ppl_rise_{name}_frac": row.perplexity / base.perplexity - 1,
            f"kl_to_base_{name}": row.kl_to_base,
            f"size_{name}_ratio": row.size_bytes / base.size_bytes,
            f"decode_{name}_ratio_b1": row.tokens_per_s_b1 / base.tokens_per_s_b1,
            f"decode_{name}_ratio_b8": row.tokens_per_s_b8 / base.tokens_per_s_b8,
        }
    scale = f"{results.tokens} tokens, context {results.context}, {results.text}"
    return measured_in(context, values, scale=scale, source="compress")


def _table(results: CompressionResults) -> ResultTable:
    columns = {
        "name": text("scheme"),
        "size_bytes": text("size MB"),
        "perplexity": text("perplexity"),
        "kl_to_base": text("KL to base (nats)"),
        "top1_agreement_frac": text("same first token"),
        "tokens_per_s_b1": text("tokens/s batch 1"),
        "tokens_per_s_b8": text("tokens/s batch 8"),
    }
    rows = tuple(
        tuple(row.size_bytes / 1e6 if key == "size_bytes" else getattr(row, key) for key in columns)
        for row in (results.base, *results.schemes)
    )
    return ResultTable(
        id="compression",
        title=text("Compression"),
        details=text(
            "{tokens} tokens of {text}, context {context}; decoding over 128 tokens",
            tokens=results.tokens,
            text=results.text,
            context=results.context,
        ),
        columns=tuple(columns.values()),
        rows=rows,
        provenance=Provenance.MEASURED,
    )
