"""What the screening process and the tasks on the slots send each other: one line of JSON per message, by the common codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bedplate.operations.preflight.measure import RateReport
from bedplate.operations.preflight.pairs import PairResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the coordinator listens."""

    host: str
    port: int
    token: str
    """Keeps other processes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSpec:
    """The spec of a gang's tasks."""

    endpoint: Endpoint
    slots: tuple[int, ...]
    """The slot that each rank holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """A task's first line."""

    slot: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOrder:
    """Measure yourself."""

    kind: Literal["measure"] = "measure"
    budget_s: float
    precisions: tuple[str, ...]
    largest_buffer_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStoreOrder:
    """Open the store at which a pair will meet."""

    kind: Literal["open_store"] = "open_store"
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetOrder:
    """Meet a partner and sum with it."""

    kind: Literal["meet"] = "meet"
    place: int
    """0 for the task that opened the store, 1 for the other."""
    host: str
    port: int
    num_bytes: int
    timeout_s: float


Order: TypeAlias = MeasureOrder | OpenStoreOrder | MeetOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesAnswer:
    """To a MeasureOrder."""

    kind: Literal["rates"] = "rates"
    rates: RateReport


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswer:
    """To an OpenStoreOrder."""

    kind: Literal["store"] = "store"
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAnswer:
    """To a MeetOrder."""

    kind: Literal["pair"] = "pair"
    result: PairResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAnswer:
    """The order could not be carried out."""

    kind: Literal["failed"] = "failed"
    error: str


Answer: TypeAlias = RatesAnswer | StoreAnswer | PairAnswer | FailedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One line to a task."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """One line back."""

    answer: Answer
