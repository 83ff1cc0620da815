"""What an indicator is: one question about the platform, how its answer is computed, and what counts as good.

Indicator   id, part, question, formula over measurement ids, unit, direction, weight
Thresholds  base (a working minimum), good (published large-scale practice), lead (best public value)
Basis       where a threshold comes from; only what the CAICT report itself states may be marked `report`
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Literal

from bedplate.core.errors import UsageError
from bedplate.core.settings import Range
from bedplate.scorecard.formula import Formula, parse_formula


class Part(enum.StrEnum):
    """The five parts of model infrastructure."""

    COMPUTE = "compute"
    STORAGE = "storage"
    NETWORK = "network"
    TOOLCHAIN = "toolchain"
    OPERATIONS = "operations"


class Direction(enum.StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class Basis(enum.StrEnum):
    """Where a threshold comes from."""

    REPORT = "report"
    """From the CAICT report on AI infrastructure (2024)."""
    LITERATURE = "literature"
    """From a paper, a benchmark's rules or a standard."""
    PROJECT = "project"
    """This project's own judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where a level begins."""

    value: float
    """In the indicator's unit."""
    source: str
    """The report section, paper or reason that it comes from, in English."""
    basis: Basis
    """Class of that source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where the three levels begin."""

    base: Threshold
    """A working minimum."""
    good: Threshold
    """Published large-scale practice."""
    lead: Threshold
    """Best public value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """How the value is obtained."""

    command: str
    """The command that measures it."""
    available: bool = True
    """False where the command comes with a later version: shown as missing, with a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One question of the scorecard; an entry of `scorecard/indicators/*.yaml`.

    Raises:
        UsageError: The thresholds do not follow the direction, or the formula is not arithmetic.
    """

    id: str
    """Stable snake_case name, unit as suffix."""
    part: Part
    """The part that it grades."""
    name: str
    """A few words, in English; like every text here it is a template of the catalogues."""
    question: str
    """What the value answers, for people."""
    formula: str
    """Arithmetic over measurement ids."""
    unit: str
    """As in measurements: `frac`, `s`, `ratio`, `bytes/s`, `bool`, `iops`, `steps`."""
    direction: Direction
    """Which way is better."""
    collect: Collection
    """How it is measured."""
    thresholds: Thresholds
    """Where the levels begin."""
    advice: str
    """What to do when it is low."""
    weight: Annotated[float, Range(0.5, 5)] = 1.0
    """Its share in the score."""
    claimed_nodes: Annotated[int, Range(1)] = 1
    """Nodes that a measurement must span to reach an upper level; 1 where one machine settles the question."""
    role: Literal["quality", "gate"] = "quality"
    """A gate has one bar only: passed or not."""

    def __post_init__(self) -> None:
        parse_formula(self.formula)
        levels = (self.thresholds.base.value, self.thresholds.good.value, self.thresholds.lead.value)
        ordered = sorted(levels, reverse=self.direction is Direction.LOWER)
        if list(levels) != ordered or (self.role == "quality" and len(set(levels)) < 3):
            raise UsageError(
                f"the thresholds of '{self.id}' do not get stricter from base to lead",
                seen=" -> ".join(f"{value:g}" for value in levels),
                expected=f"values that get {self.direction.value}",
            )

    @property
    def parsed(self) -> Formula:
        """The formula, ready to evaluate."""
        return parse_formula(self.formula)

    def reaches(self, value: float, threshold: Threshold) -> bool:
        """Whether `value` is at least as good as `threshold`."""
        if self.direction is Direction.HIGHER:
            return value >= threshold.value
        return value <= threshold.value
