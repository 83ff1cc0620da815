"""Every use case keeps the contract of `app/pipeline/contract/step.py`, and every key that people write is explained."""

from typing import Any

import pytest

from bedplate.app.pipeline.contract.use_case import load_use_case
from bedplate.app.uses import USES
from bedplate.core.errors import UsageError
from bedplate.core.settings import Kind, setting_fields


@pytest.fixture(params=sorted(USES))
def use(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_use_case_has_settings_plan_run_and_an_explanation(use: str) -> None:
    case = load_use_case(use)
    assert callable(case.plan)
    assert callable(case.run)
    assert str(case.explanation).endswith((".", "!"))


def test_every_setting_says_what_it_means(use: str) -> None:
    silent = [key for key, field in setting_fields(load_use_case(use).settings).items() if not field.text]
    assert silent == []


def classes_of(settings: type) -> list[type]:
    """A settings class and those in it."""
    inner = [field.value_type.cls for field in setting_fields(settings).values() if field.value_type.kind is Kind.SETTINGS]
    return [settings, *(found for cls in inner for found in classes_of(cls))]


def test_every_range_holds_in_python(use: str) -> None:
    for cls in classes_of(load_use_case(use).settings):
        fields = setting_fields(cls).values()
        needed: dict[str, Any] = {
            field.name: 1 if field.value_type.cls is int else "x" for field in fields if field.is_required
        }
        cls(**needed)
        for field in fields:
            for minimum in filter(None, (bounds.minimum for bounds in field.value_type.ranges)):
                with pytest.raises(UsageError, match=f"'{field.key}'"):
                    cls(**{**needed, field.name: type(minimum)(minimum - 1)})
