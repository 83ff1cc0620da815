"""Every measurement id that bedplate emits, with its unit: the one place where an id is spelled.

Ids are snake_case with the unit as suffix, in base units only (seconds, bytes, never milliseconds). An id with a
placeholder stands for a family: `ppl_{scheme}` is `ppl_int8` and every other scheme, `{off|on}` one of the two. A step of
a user's own registers its ids with `register_measures` before it emits them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from bedplate.core.errors import UsageError, did_you_mean

Unit = Literal[
    "s",
    "bytes",
    "bytes/s",
    "flops",
    "frac",
    "ratio",
    "bool",
    "count",
    "steps",
    "nats",
    "perplexity",
    "tokens/s",
    "requests/s",
    "iops",
    "%",
]
"""`flops` is operations, or operations/s where the id names a rate; `nats` is per token; `bool` is 0 or 1."""


_PLACEHOLDER = re.compile(r"\{([\w|]+)\}")


def _pattern(placeholder: re.Match[str]) -> str:
    return f"(?:{placeholder[1]})" if "|" in placeholder[1] else "[a-z0-9]+(?:_[a-z0-9]+)*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one id, or one family of ids, stands for."""

    id: str
    unit: Unit
    is_timed: bool = False
    """Whether other work on the machine changes the value: a time, a rate, or a quotient of them."""

    def covers(self, name: str) -> bool:
        """Whether `name` is this id, or one of this family."""
        return re.fullmatch(_PLACEHOLDER.sub(_pattern, self.id), name) is not None


def _measures(unit: Unit, names: str, *, is_timed: bool = False) -> tuple[Measure, ...]:
    return tuple(Measure(id=name, unit=unit, is_timed=is_timed) for name in names.split())


MEASURES: tuple[Measure, ...] = (
    # the run
    *_measures("bytes", "peak_memory_bytes"),
    # screening and device rates
    *_measures("s", "screen_s pair_all_reduce_s_max", is_timed=True),
    *_measures("count", "screen_slots screen_slots_excluded"),
    *_measures("flops", "slot_matmul_flops_{fp32|bf16}_min slot_matmul_flops_{fp32|bf16}_max", is_timed=True),
    *_measures("bytes/s", "slot_memory_bandwidth_bytes_per_s_min", is_timed=True),
    *_measures("bytes/s", "store_{name}_write_bytes_per_s store_{name}_read_bytes_per_s", is_timed=True),
    # training
    *_measures("tokens/s", "tokens_per_s", is_timed=True),
    *_measures("flops", "train_flops_per_token"),
    *_measures("nats", "final_loss"),
    *_measures("frac", "goodput_frac", is_timed=True),
    *_measures("perplexity", "ppl_before ppl_after"),
    *_measures("s", "kill_detect_s resume_forward_s resume_step_s", is_timed=True),
    *_measures("steps", "steps_repeated steps_skipped"),
    # compression
    *_measures("perplexity", "ppl_{scheme}"),
    *_measures("frac", "ppl_rise_{scheme}_frac"),
    *_measures("nats", "kl_to_base_{scheme}"),
    *_measures("ratio", "size_{scheme}_ratio"),
    *_measures("ratio", "decode_{scheme}_ratio_b1 decode_{scheme}_ratio_b8", is_timed=True),
    # serving
    *_measures("requests/s", "serve_requests_per_s_{kv_off|kv_on|peer}", is_timed=True),
    *_measures("tokens/s", "serve_tokens_per_s_{kv_off|kv_on|peer}", is_timed=True),
    *_measures("s", "serve_ttft_{p50|p99}_s_{kv_off|kv_on|peer} serve_tpot_{p50|p99}_s_{kv_off|kv_on|peer}", is_timed=True),
    *_measures("ratio", "peer_throughput_ratio peer_ttft_ratio", is_timed=True),
    *_measures("frac", "kv_hit_frac"),
    *_measures("ratio", "kv_throughput_ratio kv_ttft_ratio", is_timed=True),
    *_measures("bool", "kv_answers_equal"),
    # network
    *_measures("frac", "network_bound_frac network_{ecmp|planned}_mean_flow_frac network_{ecmp|planned}_worst_flow_frac"),
    *_measures("frac", "network_{ecmp|planned}_link_mean_frac network_{ecmp|planned}_link_max_frac"),
    *_measures("s", "network_{ecmp|planned}_collective_s"),
)
"""All ids of bedplate's own steps."""

_registered: dict[str, Measure] = {measure.id: measure for measure in MEASURES}


def register_measures(measures: Iterable[Measure]) -> None:
    """Add ids of a step of one's own; the same id with the same unit may be added again.

    Raises:
        UsageError: The id is registered with another unit, or the unit is unknown.
    """
    for measure in measures:
        if measure.unit not in get_args(Unit):
            raise UsageError(f"'{measure.id}' has an unknown unit", seen=measure.unit, expected=", ".join(get_args(Unit)))
        known = _registered.setdefault(measure.id, measure)
        if known != measure:
            raise UsageError(f"the measurement id '{measure.id}' is taken", seen=measure.unit, expected=known.unit)


def measure_of(name: str) -> Measure:
    """The registered measure of an id; an id of its own goes before a family, a longer family before a shorter one.

    Raises:
        UsageError: Nothing is registered under `name`.
    """
    if name in _registered:
        return _registered[name]
    families = [measure for measure in _registered.values() if "{" in measure.id and measure.covers(name)]
    if families:
        return max(families, key=lambda measure: len(measure.id))
    raise UsageError(
        f"'{name}' is not a registered measurement id",
        seen=name,
        expected="an id of bedplate.core.measures",
        next_step=did_you_mean(name, _registered, "register it with register_measures"),
    )
