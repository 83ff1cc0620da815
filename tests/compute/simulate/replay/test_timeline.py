"""A timeline is a trace that viewers open: slices of one thread do not overlap, and everything that ran is in it."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.conditions import Conditions
from bedplate.compute.simulate.replay.loop import Replay
from bedplate.compute.simulate.replay.policies import scheduler_settings
from bedplate.compute.simulate.replay.timeline import MOST_SLICES, Timeline, check_size, write_timelines
from bedplate.compute.simulate.traces.generate import generate, read_words
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.core.errors import UsageError

CLUSTER = read_cluster("2x8:A100,1x4:V100")


def test_slices_of_one_thread_do_not_overlap_and_all_jobs_are_there(tmp_path: Path) -> None:
    trace = generate(read_words("jobs=80,shares=60%,cpu_only=20%,load=1.5,seed=2"), CLUSTER)
    nodes = machines(CLUSTER, 32)
    timelines = []
    for number, policy in enumerate(("fifo", "fair")):
        state = SchedulerState(nodes, settings=scheduler_settings(policy, SchedulerSettings()))
        timelines.append(Timeline(policy, number, nodes))
        Replay(trace, nodes, state, Conditions(), [timelines[-1]]).run()
    write_timelines(tmp_path / "trace.json", timelines)
    document = json.loads((tmp_path / "trace.json").read_text())
    assert document["otherData"] == {"provenance": "simulated"}
    threads, seen = defaultdict(list), set()
    for event in document["traceEvents"]:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            seen.add((event["pid"] > len(nodes), event["args"]["job"]))
    assert len(seen) == 2 * len(trace.jobs)
    for slices in threads.values():
        slices.sort()
        assert all(end <= begin + 1 for (_, end), (begin, _) in pairwise(slices)), "to a microsecond"
    names = {(event["pid"], event["tid"]) for event in document["traceEvents"] if event["name"] == "thread_name"}
    assert names == set(threads)


def test_a_run_that_is_too_large_is_refused_with_the_limit() -> None:
    trace = generate(read_words("jobs=300"), CLUSTER)
    check_size(trace, 2)
    with pytest.raises(UsageError, match=str(MOST_SLICES)):
        check_size(trace, 2 * MOST_SLICES)
