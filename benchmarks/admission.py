"""Admission, durable: how many decisions a second the service writes down before anything is launched.

A queue of jobs in a real state database meets a cluster that has room for all of them. One pass reads the queue, decides, and
commits every decision with its event in one transaction; then each launch would follow, which is counted and not done. Beside
it: the same decisions with one transaction each, which is what a scheduler pays that writes as it goes.

    python benchmarks/admission.py
    python benchmarks/admission.py --jobs 15000 --state postgresql://USER@HOST/DATABASE -o json

`--data` names a folder with traces of pods in openb's format (`*pod_list_*.csv`): requests are drawn from them.
"""

from __future__ import annotations

import argparse
import gc
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

from scheduler_scale import drawn_requests, make_nodes, traced_requests

from bedplate.app.control.controller import Controller
from bedplate.app.control.requests import Placed, Terms
from bedplate.app.wiring import open_state, state_location
from bedplate.cli.terminal.output import note, print_json, print_table
from bedplate.compute.scheduler.job import Request
from bedplate.core.json import Json
from bedplate.core.messages import encode
from bedplate.state.job_records import JobRecord, NewJob, Phase
from bedplate.state.jobs import JobChange, JobFilter, insert_jobs
from bedplate.state.store import StateStore

LEAST_RATE = 5_000
"""Decisions a second of the best published scheduler, as the issue quotes it."""
ONE_BY_ONE = 300
"""Decisions that are written one by one, for comparison."""


class CountedLaunches:
    """Launches that are counted and not done; each must be on record before it is asked for."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.launched = 0
        self.first_s: float | None = None

    def launch(self, job: JobRecord, placed: Placed) -> None:
        """Count one; the first one finds every decision of its pass on record."""
        if self.first_s is None:
            self.first_s = time.perf_counter()
            stored = self._state.jobs.get(job.id)
            assert stored is not None
            assert stored.phase is Phase.STARTING
        self.launched += 1

    def is_alive(self, job_id: str) -> bool:
        """Nothing was started, and nothing shall be started again."""
        return True

    def ask_to_end(self, job_id: str) -> None:
        """Nothing runs."""

    def kill(self, job_id: str) -> None:
        """Nothing runs."""


def queue_up(state: StateStore, requests: list[Request], count: int, seed: int) -> None:
    """Put jobs into the table, as submissions do, in one transaction."""
    generator = random.Random(seed)
    terms = encode(Terms())
    jobs = [
        NewJob(
            name="job",
            key=f"{seed}-{number}",
            user=f"user-{number % 97}",
            tenant=f"group-{number % 5}/team-{number % 50}",
            priority=0,
            file="job.yaml",
            document={},
            request=encode(generator.choice(requests)),
            terms=terms,
        )
        for number in range(count)
    ]
    with state.database.writing() as connection:
        insert_jobs(connection, jobs, 1, state.clock.now())


def measure(state: StateStore, nodes: int, jobs: int, requests: list[Request], seed: int) -> dict[str, Json]:
    """All figures."""
    machines = tuple(make_nodes(nodes))
    queue_up(state, requests, jobs, seed)
    launches = CountedLaunches(state)
    controller = Controller(state=state, nodes=lambda: machines, launcher=launches)
    started = time.perf_counter()
    with controller.book():
        load_s = time.perf_counter() - started
    gc.freeze()  # as the service does once it has read its state
    note(f"{jobs} jobs read in {load_s:.2f} s")
    commits: list[float] = []
    change = state.jobs.change

    def timed_change(*arguments: object) -> None:
        began = time.perf_counter()
        change(*arguments)  # type: ignore[arg-type]
        commits.append(time.perf_counter() - began)

    state.jobs.change = timed_change  # type: ignore[method-assign, assignment]
    started, cpu = time.perf_counter(), time.process_time()
    decisions = controller.step()
    pass_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    state.jobs.change = change  # type: ignore[method-assign]
    assert launches.first_s is not None
    durable_s = launches.first_s - started
    stored = state.jobs.count(JobFilter(phases=(Phase.STARTING,))).get(Phase.STARTING, 0)
    assert stored == launches.launched, "every launch is on record"
    return {
        "jobs": jobs,
        "nodes": nodes,
        "decisions": decisions,
        "launches": launches.launched,
        "load_s": load_s,
        "pass_s": pass_s,
        "pass_cpu_s": cpu_s,
        "durable_s": durable_s,
        "decisions_per_s": decisions / durable_s,
        "decisions_per_cpu_s": decisions / cpu_s,
        "commit_s": sum(commits),
        "writes_per_s": decisions / sum(commits),
        "one_by_one_per_s": _one_by_one(state),
    }


def _one_by_one(state: StateStore) -> float:
    started = time.perf_counter()
    for number in range(1, ONE_BY_ONE + 1):
        state.jobs.change([JobChange(job_id=f"job-{number}", values={"why": "written alone"})])
    return ONE_BY_ONE / (time.perf_counter() - started)


def main() -> int:
    """Measure and print; 1 if the rate is below the published one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=15_000)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", help="Folder or URL of an empty state; a temporary SQLite database when it is not given.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    requests = traced_requests(arguments.data) if arguments.data else drawn_requests(generator, 300)
    with tempfile.TemporaryDirectory(prefix="bedplate-admission-") as folder:
        state = open_state(state_location(arguments.state or folder))
        try:
            figures = measure(state, arguments.nodes, arguments.jobs, requests, arguments.seed)
            kind = "SQLite, WAL, synchronous=full" if state.database.location.is_sqlite else "PostgreSQL"
        finally:
            state.close()
    figures = {**figures, "state": kind, "machine": platform.processor() or platform.machine(), "seed": arguments.seed}
    if arguments.output == "json":
        print_json(figures)
    else:
        print_table(
            ("figure", "value"),
            [(name, f"{value:.4g}" if isinstance(value, float) else value) for name, value in figures.items()],
        )
        print(f"goal: {LEAST_RATE} durable decisions a second")
    rate = figures["decisions_per_s"]
    assert isinstance(rate, float)
    return 0 if rate >= LEAST_RATE else 1


if __name__ == "__main__":
    sys.exit(main())
