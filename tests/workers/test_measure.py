"""A device is measured in the precisions that its kind computes in, and the others get a reason instead of a rate."""

from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.compute.inventory import emulated, this_node
from bedplate.core.messages import decode, encode
from bedplate.core.workload import Gang, Resources, Task
from bedplate.engines.local.engine import LocalEngine
from bedplate.operations.preflight.measure import MeasureSpec, RateReport

SPEC = encode(MeasureSpec(budget_s=0.4, num_tries=1))


@pytest.mark.parametrize(("accelerators", "able"), [(0, {"fp32", "bf16", "int8"}), (1, {"fp32", "int8"})])
def test_each_kind_is_measured_in_what_it_computes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerators: int, able: set[str]
) -> None:
    monkeypatch.setenv(emulated.COUNT_VARIABLE, "1")
    node = this_node()
    engine = LocalEngine(tmp_path, replace(node.with_cores(node.cores[:1])))
    try:
        task = Task(entry="bedplate.workers.measure:main", spec=SPEC, resources=Resources(accelerators=accelerators))
        status = engine.wait(engine.submit(Gang(name="measure", tasks=(task,))), 120)
    finally:
        engine.close()
    report = decode(RateReport, status.tasks[0].result)
    assert {name for name, rate in report.matmul_flops.items() if rate} == able
    assert set(report.reasons) == {"fp32", "bf16", "int8"} - able
    assert all("does not compute in" in reason for reason in report.reasons.values())
    assert report.memory_bandwidth_bytes_per_s
