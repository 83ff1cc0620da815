"""How fast a job was on its model of device: what corrects the table of speeds.

Training says its tokens a second at every step. Models of different sizes are not compared by tokens: the unit is the
arithmetic that the tokens need, so that all jobs of the kind `training` count in one unit. Samples count from the start of the
attempt, and their median, so neither an earlier attempt on another model nor the first slow steps are in it.
"""

from __future__ import annotations

import math
import statistics

from bedplate.app.control.batch import Batch
from bedplate.app.control.book import JobBook
from bedplate.compute.scheduler.job import WHOLE
from bedplate.state.job_records import JobRecord
from bedplate.state.store import StateStore

TRAINING = "training"
_TOKENS_PER_S, _FLOPS_PER_TOKEN = "train_tokens_per_s", "train_flops_per_token"
_LEAST_SAMPLES = 3
"""Steps without which a median says nothing."""


def note_achieved(book: JobBook, batch: Batch, state: StateStore, record: JobRecord) -> None:
    """Observe what a job whose process has ended achieved, where it said so, and keep that with the batch."""
    placed, kind = book.placed[record.id], str(record.terms.get("kind", TRAINING))
    model = placed.allocation.model
    if not model or record.run_id is None or kind.partition(":")[0] != TRAINING:
        return
    achieved = _flops_per_s(state, record.run_id, record.placed_at_s or 0.0)
    devices = placed.num_workers * book.requests[record.id].device_milli / WHOLE
    if achieved is not None and devices:
        observed = book.facts.observe(kind, model, achieved / devices)
        batch.speeds[observed.kind, observed.model] = observed


def _flops_per_s(state: StateStore, run_id: str, since_s: float) -> float | None:
    """Of all workers together; None where the run did not train, or trained models of several sizes."""
    measured = (item.value for item in state.measurements.of_run(run_id) if item.id == _FLOPS_PER_TOKEN)
    per_token = {value for value in measured if value is not None and value > 0}
    rates = [sample.value for sample in state.metrics.of_run(run_id, _TOKENS_PER_S, since_s=since_s) if sample.value]
    if len(per_token) != 1 or len(rates) < _LEAST_SAMPLES:
        return None
    achieved = per_token.pop() * statistics.median(rates)
    return achieved if math.isfinite(achieved) and achieved > 0 else None
