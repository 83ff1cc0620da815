"""Every use case keeps the contract of `app/pipeline/contract/step.py`, and every key that people write is explained."""

import pytest

from bedplate.app.pipeline.contract.use_case import load_use_case
from bedplate.app.uses import USES
from bedplate.core.settings import setting_fields


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
