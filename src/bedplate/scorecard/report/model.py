"""What the report page shows: one plain value, gathered before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.core.figures import Figure, ResultTable
from bedplate.core.text import AnyText
from bedplate.locale.languages import Language
from bedplate.scorecard.grade import Scorecard
from bedplate.scorecard.limiting import Limiting
from bedplate.scorecard.whatif import WhatIf


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStep:
    """One step of the run, with what it wants people to see."""

    name: str
    status: str
    """waiting, running, done, failed or cancelled."""
    started_s: float | None = None
    """Seconds since the epoch; None where it is not known."""
    duration_s: float | None = None
    """None where it is not known."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[ResultTable, ...] = ()

    @property
    def shows_something(self) -> bool:
        """Whether it has figures or tables."""
        return bool(self.figures or self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A scorecard, and the run that it grades."""

    title: str
    """The run's name, for people."""
    run_id: str
    created_s: float
    """Seconds since the epoch."""
    scorecard: Scorecard
    limiting: Limiting
    what_if: tuple[WhatIf, ...]
    steps: tuple[ReportStep, ...]
    language: Language = Language.ENGLISH
    """Shown first; the page holds all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePage:
    """Figures and tables of one question, without a scorecard."""

    title: AnyText
    details: tuple[AnyText, ...] = ()
    """What was asked, in a few lines."""
    created_s: float
    """Seconds since the epoch."""
    tables: tuple[ResultTable, ...] = ()
    figures: tuple[Figure, ...] = ()
    language: Language = Language.ENGLISH
    """Shown first; the page holds all."""
