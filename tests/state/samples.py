"""Runs and measurements that tests store."""

from bedplate.core.measurement import Measurement, Provenance
from bedplate.state.records import RunRecord
from bedplate.state.runs import NewRun
from bedplate.state.store import StateStore


def claim(
    state: StateStore, key: str = "k" * 32, *, name: str = "demo", file: str = "demo.yaml", new: bool = False
) -> RunRecord:
    wanted = NewRun(
        key=key,
        name=name,
        file=file,
        document={"version": 1},
        engine="local",
        version="0",
        step_uses={"one": "test.write", "two": "test.write"},
    )
    return state.runs.claim(wanted, new=new)


def measured(value: float) -> Measurement:
    return Measurement(id="resume_step_s", value=value, unit="s", provenance=Provenance.MEASURED, at_s=1.0)
