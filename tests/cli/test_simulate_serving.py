"""`bedplate compute simulate` of a service beside jobs, as people call it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.test_simulate_jobs import call

JOBS = ("--generate", "jobs=20,seed=1", "--cluster", "2x8:A100")


@pytest.fixture
def load(tmp_path: Path) -> str:
    file = tmp_path / "load.csv"
    rows = [f"{1_700_006_400 + 600 * at},{50 + 40 * math.sin(at / 23):.3f}" for at in range(3 * 144)]
    file.write_text("\n".join(["time,requests", *rows]) + "\n")
    return str(file)


def test_modes_stand_side_by_side(load: str) -> None:
    follow = ("--serving-follow-per-replica", "10", "--serving-follow-most", "10", "--serving-days", "1")
    modes = ("--capacity", "static", "--capacity", "reactive")
    done = call(*JOBS, "--serving-load", load, "--serving-column", "requests", *follow, *modes, "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["provenance"] == "simulated" and answer["load"]["steps"] == 432 and answer["load"]["days"] == 1
    static, reactive = answer["modes"]
    assert [static["capacity"], reactive["capacity"]] == ["static", "reactive"]
    assert static["serving_device_hours"] == pytest.approx(240) and static["served_frac"] == 1
    assert reactive["serving_device_hours"] < 0.8 * 240 and 0.95 < reactive["served_frac"] <= 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--serving-column", "requets"), 2, "requests"),
        (("--serving-column", "requests", "--serving-follow-most", "99"), 2, "more than the cluster has"),
        (("--serving-column", "requests", "--capacity", "psychic"), 2, "psychic"),
        (("--serving-column", "requests", "--serving-follow-least", "9", "--serving-follow-most", "3"), 2, "cross"),
    ],
)
def test_what_cannot_be_is_refused(load: str, options: tuple[str, ...], code: int, said: str) -> None:
    modes = () if "--capacity" in options else ("--capacity", "reactive")
    done = call(*JOBS, "--serving-load", load, "--serving-follow-per-replica", "10", *options, *modes)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
