"""A machine whose loopback interface is down: one clear error, in a network namespace of the kernel's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from bedplate.app.wiring import local_engine
from bedplate.core.errors import UnavailableError
from tests.engines.workloads import finishing, gang

engine = local_engine(Path(sys.argv[1]))
core = engine.resources()[0].cores[0]
engine.close()
engine = local_engine(Path(sys.argv[1]), [core, core])
try:
    engine.submit(gang(finishing(), finishing()))
except UnavailableError as error:
    print(error)
print(engine.wait(engine.submit(gang(finishing())), 60).state)
engine.close()
"""


def test_only_a_single_process_runs_without_loopback(tmp_path: Path) -> None:
    isolated = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [*isolated, sys.executable, "-c", SCRIPT, tmp_path],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    refused, single = ended.stdout.splitlines()
    assert "the loopback interface is down" in refused, ended.stderr
    assert "ip link set lo up" in refused
    assert single == "done"
