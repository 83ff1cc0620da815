"""What a real training achieved on a device is kept, and shown with what the device is, after the service was killed too."""

from pathlib import Path
from typing import Any

import pytest

from tests.command_line import USES
from tests.service.control.live_service import LiveService, submit, wait_phase
from tests.service.control.test_training import training

MODEL = "Emulated CPU"


def test_a_training_corrects_the_speeds_for_good(service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDPLATE_EMULATED_DEVICES", "1")
    prices = tmp_path / "prices.yaml"
    prices.write_text(f"currency: CNY\ndevices:\n  {MODEL}: {{per_hour: 36, watts: 10}}\n")
    service.options = ("--prices", prices)
    client = service.start()
    pipeline: dict[str, Any] = training(tmp_path, 1)
    pipeline["needs"] = {"accelerator": MODEL.upper(), "count": 1, "expected": "100s"}

    (before,) = client.forecast(pipeline, uses=USES)["models"]
    assert (before["model"], before["speed"]["samples"]) == (MODEL, 0)
    assert before["memory"]["provenance"] == "emulated"
    assert before["lasts_s"] is None, "nobody knows how fast this model is"
    assert before["cost_of_an_hour"]["money"]["value"] == pytest.approx(36.0)
    assert before["cost_of_an_hour"]["joules"]["value"] == pytest.approx(36_000.0)

    job = submit(client, pipeline)
    done = wait_phase(client, job, "done")
    assert done["model"] == MODEL
    assert done["models"] == []

    service.kill()
    client = service.start()
    pipeline["steps"]["train"]["seed"] = 7
    (after,) = client.forecast(pipeline, uses=USES)["models"]
    assert after["speed"]["samples"] == 1
