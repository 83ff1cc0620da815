"""Loading a use case by the name that files give it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedplate.app.pipeline.contract.step import PlanContext, StepContext, StepResult
from bedplate.app.uses import USES
from bedplate.core.errors import UnavailableError
from bedplate.core.text import AnyText
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import choose_language


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """What `app/pipeline/contract/step.py` asks of a use case's module, loaded."""

    name: str
    settings: type
    plan: Callable[[Any, PlanContext], Sequence[str]]
    run: Callable[[Any, StepContext], StepResult]
    explanation: AnyText
    """What it does and why."""


def load_use_case(name: str, uses: Mapping[str, str] = USES) -> UseCase:
    """The use case that `uses` lists under `name`.

    Raises:
        KeyError: Not listed.
        UnavailableError: Its module, or something that it imports, is not installed.
    """
    try:
        module = importlib.import_module(uses[name])
    except ImportError as error:
        raise UnavailableError(
            f"'{name}' cannot be loaded",
            seen=error,
            expected=f"the module {uses[name]} and what it imports",
            next_step="pip install 'bedplate[demo]'" if name in USES else "check the module's name and PYTHONPATH",
        ) from error
    first_paragraph = (inspect.getdoc(module) or name).split("\n\n")[0].replace("\n", " ")
    return UseCase(
        name=name,
        settings=module.Settings,
        plan=module.plan,
        run=module.run,
        explanation=getattr(module, "EXPLANATION", first_paragraph),
    )


def explanation_of(case: UseCase) -> str:
    """The use case's explanation in the language of the terminal."""
    return in_language(case.explanation, choose_language())
