"""A training step of the pipeline for tests: micro model, generated tokens, real engine, a context that remembers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bedplate.app.pipeline.contract.step import Needs, StepContext, StepResult, Workers
from bedplate.app.toolchain.train.report import Recovery
from bedplate.core.clock import SystemClock
from bedplate.core.events.event import Event, MetricSample, SinkStatistics
from bedplate.core.events.kinds import EVENT_KINDS
from bedplate.core.messages import decode
from bedplate.core.reporter import CallbackReporter
from bedplate.engines.base import Engine
from bedplate.toolchain.data.shards import FORMAT, VERSION
from bedplate.toolchain.train.settings import CheckpointSettings, EvaluationSettings, Precision, TrainSettings

VOCABULARY_SIZE = 256


class Heard:
    """An event sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.samples: list[MetricSample] = []
        self.said: list[str] = []

    def emit(self, event: Event) -> None:
        assert event.kind in EVENT_KINDS, event.kind
        self.events.append(event)

    def sample(self, sample: MetricSample) -> None:
        self.samples.append(sample)

    def statistics(self) -> SinkStatistics:
        return SinkStatistics()


class SilentObserver:
    """A trainer's observer that keeps nothing."""

    def forward_begins(self, step: int, micro_batch: int) -> None:
        pass

    def backward_begins(self, step: int, micro_batch: int) -> None:
        pass

    def evaluation_begins(self) -> None:
        pass

    def wait_begins(self, step: int) -> None:
        pass

    def checkpoint_rejected(self, step: int, store: str, reason: str) -> None:
        pass


def make_context(engine: Engine, directory: Path, *, workers: int = 2, least: int | None = None) -> tuple[StepContext, Heard]:
    """A context of a step named `train`, and what it hears."""
    heard = Heard()
    context = StepContext(
        name="train",
        run_id="test",
        directory=directory,
        needs=Needs(workers=Workers(want=workers, min=least or workers)),
        engine=engine,
        events=heard,
        clock=SystemClock(),
        results={},
        reporter=CallbackReporter(on_say=heard.said.append),
    )
    return context, heard


def measured(result: StepResult) -> dict[str, float]:
    """Value of each measurement that has one."""
    return {item.id: item.value for item in result.measurements if item.value is not None}


def failures(result: StepResult) -> list[Recovery]:
    """The failures in the outputs of the step, as the dataclasses that they were written from."""
    written = result.outputs["failures"]
    assert isinstance(written, list)
    return [decode(Recovery, item) for item in written]


def cancelled_by(context: StepContext, check: Callable[[], None]) -> StepContext:
    """The same context, in which `check` decides about the end."""
    return dataclasses.replace(context, reporter=CallbackReporter(on_check=check))


def make_micro_model(folder: Path, vocab_size: int = VOCABULARY_SIZE, *, tied: bool = True) -> Path:
    """A decoder of some 60,000 random weights, fp32 on disk, without a tokenizer."""
    import torch

    from bedplate.toolchain.models.config import LlamaConfig
    from bedplate.toolchain.models.folder import save_model
    from bedplate.toolchain.models.llama import Llama

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=48,
            intermediate_size=96,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_size=12,
            max_positions=128,
            tie_embeddings=tied,
        )
        model = Llama(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.05)
    save_model(model, folder, torch.float32)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_shards(
    folder: Path, *, train_tokens: int = 6000, vocab_size: int = VOCABULARY_SIZE, tokenizer_digest: str | None = None
) -> Path:
    """A folder of token shards with a text that can be learned: each token is a function of the one before, mostly."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    shards = []
    for split, count in (("train", train_tokens), ("validation", 700)):
        tokens = [1]
        for _ in range(count - 1):
            tokens.append(int((tokens[-1] * 7 + 3) % vocab_size if rng.random() < 0.8 else rng.integers(vocab_size)))
        data = np.array(tokens, dtype="<u2").tobytes()
        name = f"{split}-00000.bin"
        (folder / name).write_bytes(data)
        digest = hashlib.blake2b(data, digest_size=32).hexdigest()
        shards.append({"file": name, "split": split, "tokens": count, "documents": 1, "digest": digest})
    manifest = {"format": FORMAT, "version": VERSION, "dtype": "<u2", "separator": 0, "shards": shards}
    manifest |= {} if tokenizer_digest is None else {"tokenizer_digest": tokenizer_digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def make_settings(folder: Path, *, steps: int = 6, workers: int = 2, **changed: Any) -> TrainSettings:
    """Settings of a run of `steps` steps over a micro model and shards made in `folder`."""
    model, data = folder / "base", folder / "data"
    if not model.exists():
        make_micro_model(model)
        make_shards(data)
    settings = TrainSettings(
        model=str(model),
        data=str(data),
        tokens=1,
        precision=Precision.FP32,
        sequence=32,
        micro_batch=2,
        accumulate=2,
        learning_rate=1e-2,
        checkpoint=CheckpointSettings(every=2, disk_every=2),
        evaluate=EvaluationSettings(tokens=128),
        hang_timeout=20.0,
    )
    settings = dataclasses.replace(settings, **changed)
    return dataclasses.replace(settings, tokens=steps * settings.tokens_per_step(workers))
