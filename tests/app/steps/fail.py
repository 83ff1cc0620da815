"""Fails in the way that it is told to, until a file is there."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.core.errors import CheckFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    how: Literal["check", "bug", "disk"] = "check"
    """What it raises."""
    mended_by: str = ""
    """A file; once it is there, the step succeeds."""


def plan(settings: Settings, context: PlanContext) -> Sequence[str]:
    return ["fail"]


def run(settings: Settings, context: StepContext) -> StepResult:
    if settings.mended_by and Path(settings.mended_by).exists():
        return StepResult()
    if settings.how == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if settings.how == "bug":
        raise ZeroDivisionError("by zero")
    raise CheckFailedError("the answer is no", seen="42", expected="43")
