"""What would change if …: a few answers, each computed from this run's own numbers by a closed form that is named.

Effective training time after the first-order model of Young (1974) and Daly (2006): of each mean time between failures
M, a job that checkpoints every T seconds loses R to recover and T / 2 on average to work done again, so
    effective share = 1 - (R + T / 2) / M        for R + T / 2 << M and checkpoints that stall nothing
M is a published one: Llama 3's 419 unexpected interruptions in 54 days on 16,384 GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement, Provenance
from bedplate.core.text import Text, text, text_of
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.format import format_value
from bedplate.scorecard.limiting import Limiting
from bedplate.scorecard.measure import latest_by_id

LLAMA_3_MEAN_TIME_BETWEEN_FAILURES_S = 54 * 86_400 / 419


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """One computed answer."""

    id: str
    """Stable name."""
    indicator: str
    """The indicator that it is about; empty for the overall score."""
    change: Text
    """What is changed, and what then changes."""
    unit: str
    before: float
    """In `unit`."""
    after: float
    """In `unit`."""
    source: Text
    """The closed form, and where its constants come from."""
    provenance: Provenance = Provenance.SIMULATED

    def as_json(self, language: Language) -> JsonObject:
        """The form that `score -o json` prints."""
        return {
            "id": self.id,
            "indicator": self.indicator,
            "change": in_language(self.change, language),
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "provenance": self.provenance.value,
            "source": in_language(self.source, language),
        }


def what_if(measurements: Sequence[Measurement], limiting: Limiting, score_frac: float | None) -> tuple[WhatIf, ...]:
    """All answers that this run's numbers allow; those about the limiting indicator first."""
    values = {item.id: item.value for item in latest_by_id(measurements).values() if item.value is not None}
    answers = [*_paths(values), *_checkpoints(values), *_recovery(values), *_kv_memory(values)]
    limited = limiting.grade.indicator.id if limiting.grade else ""
    answers.sort(key=lambda answer: answer.indicator != limited)
    return (*_score(limiting, score_frac), *answers)


def effective_training_frac(*, recovery_s: float, interval_s: float, mean_time_between_failures_s: float) -> float:
    """Share of time that counts, 0 to 1; see the head of this file."""
    return max(0.0, 1.0 - (recovery_s + interval_s / 2) / mean_time_between_failures_s)


def _score(limiting: Limiting, score_frac: float | None) -> list[WhatIf]:
    if limiting.grade is None or limiting.score_after_frac is None or score_frac is None:
        return []
    indicator = limiting.grade.indicator
    good = format_value(indicator.thresholds.good.value, indicator.unit)
    return [
        WhatIf(
            id="limiting_becomes_good",
            indicator=indicator.id,
            change=text("{name} reaches {good}: overall score", name=text_of(indicator.name), good=good),
            unit="frac",
            before=score_frac,
            after=limiting.score_after_frac,
            source=text("the rules of this scorecard"),
        )
    ]


def _paths(values: Mapping[str, float]) -> list[WhatIf]:
    ecmp, planned = values.get("network_ecmp_worst_flow_frac"), values.get("network_planned_worst_flow_frac")
    if not ecmp or planned is None:
        return []
    return [
        WhatIf(
            id="planned_paths",
            indicator="unplanned_worst_flow_frac",
            change=text(
                "Planned paths instead of hash ECMP: share of its NIC that the worst flow gets ({times} times faster "
                "collectives where the network is the limit)",
                times=f"{planned / ecmp:.3g}",
            ),
            unit="frac",
            before=ecmp,
            after=planned,
            source=text("both computed in this run on the same flows (max-min fair rates)"),
        )
    ]


def _checkpoints(values: Mapping[str, float]) -> list[WhatIf]:
    recovery_s = values.get("resume_step_s")
    if recovery_s is None:
        return []
    return [
        WhatIf(
            id="checkpoint_interval",
            indicator="goodput_frac",
            change=text(
                "Checkpoints every minute instead of every 30 minutes, with this run's recovery of {recovery} and the failures "
                "of a 16,384-GPU job: effective training time",
                recovery=format_value(recovery_s, "s"),
            ),
            unit="frac",
            before=_on_llama_3(recovery_s, 1800),
            after=_on_llama_3(recovery_s, 60),
            source=text("Young 1974 and Daly 2006, first order; failures: Llama 3 (Dubey et al. 2024), section 3.3.4"),
        )
    ]


def _recovery(values: Mapping[str, float]) -> list[WhatIf]:
    detect_s, recovery_s = values.get("kill_detect_s"), values.get("resume_step_s")
    if detect_s is None or recovery_s is None:
        return []
    timeout_s = 600.0
    return [
        WhatIf(
            id="detection",
            indicator="kill_detect_s",
            change=text(
                "A dead worker seen after {detect} instead of after a ten-minute time-out, with the failures of a 16,384-GPU "
                "job: effective training time",
                detect=format_value(detect_s, "s"),
            ),
            unit="frac",
            before=_on_llama_3(recovery_s - detect_s + timeout_s, 60),
            after=_on_llama_3(recovery_s, 60),
            source=text("the same form; ten minutes is the default time-out of torch.distributed with NCCL"),
        )
    ]


def _kv_memory(values: Mapping[str, float]) -> list[WhatIf]:
    ratio = values.get("kv_throughput_ratio")
    if not ratio:
        return []
    return [
        WhatIf(
            id="kv_memory_servers",
            indicator="kv_throughput_gain_frac",
            change=text("KV memory on: servers for the load of 100 without it, when sessions look like this run's"),
            unit="servers",
            before=100.0,
            after=100.0 / ratio,
            source=text("servers needed = load / throughput of one; the two throughputs are this run's"),
        )
    ]


def _on_llama_3(recovery_s: float, interval_s: float) -> float:
    return effective_training_frac(
        recovery_s=recovery_s,
        interval_s=interval_s,
        mean_time_between_failures_s=LLAMA_3_MEAN_TIME_BETWEEN_FAILURES_S,
    )
