"""What ran where, as slices for people: the trace-event format, which Perfetto and chrome://tracing open.

A policy's node is a process, its devices are threads; jobs that share a device, and work without devices, get lanes of their
own, since slices of one thread may not overlap. Jobs that wait and devices that are held are counters.

Source: "Trace Event Format", the Chromium project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedplate.compute.scheduler.job import WorkerPlace
from bedplate.compute.scheduler.nodes.needs import accelerators
from bedplate.compute.simulate.replay.observing import Left
from bedplate.compute.simulate.replay.work import JobWork, Segment
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.devices import Node
from bedplate.core.errors import UsageError
from bedplate.core.files import write_file
from bedplate.core.json import JsonObject

MOST_SLICES = 200_000
"""Slices of a file; browsers become slow at a few times that."""
_MICROSECONDS = 1e6
_CPU = -1
_LANES = 1000


def check_size(trace: Trace, num_policies: int) -> None:
    """Raise UsageError where the file would have more than `MOST_SLICES`, however few jobs are preempted."""
    slices = num_policies * sum(traced.job.request.workers * max(traced.job.request.devices, 1) for traced in trace.jobs)
    if slices > MOST_SLICES:
        raise UsageError(
            "the run is too large for a trace that people look at",
            seen=f"{slices} slices: workers x devices of all jobs, for each policy",
            expected=f"at most {MOST_SLICES}",
            next_step="leave --trace out, or replay fewer jobs or policies",
        )


def write_timelines(file: Path, timelines: Sequence[Timeline]) -> None:
    """Write all policies of a run into one file."""
    events = [event for timeline in timelines for event in timeline.events()]
    document = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"provenance": "simulated"}}
    write_file(file, json.dumps(document, allow_nan=False))


class Timeline:
    """An observer of one policy."""

    def __init__(self, policy: str, number: int, nodes: Sequence[Node]) -> None:
        """Begin.

        Args:
            policy: Its name, for people.
            number: Of the policy among those of the file, from 0.
            nodes: Of the cluster.
        """
        self._policy, self._first = policy, number * (len(nodes) + 1)
        self._nodes = tuple(nodes)
        self._process = {node.id: self._first + 1 + at for at, node in enumerate(nodes)}
        self._lanes: dict[tuple[int, int], list[JobWork | None]] = {}
        self._slices: list[JsonObject] = []
        self._counters: list[JsonObject] = []
        self._held = 0.0

    def submitted(self, work: JobWork, now: float) -> None:
        """See `Observer`."""

    def began(self, work: JobWork, places: Sequence[WorkerPlace], now: float) -> None:
        """See `Observer`."""
        self._held += work.devices
        for thread in self._threads(places):
            lanes = self._lanes.setdefault(thread, [])
            if None in lanes:
                lanes[lanes.index(None)] = work
            else:
                lanes.append(work)

    def left(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left, segment: Segment) -> None:
        """See `Observer`."""
        self._held -= segment.devices
        job = work.traced.job
        for process, device in self._threads(places):
            lanes = self._lanes[process, device]
            lane = lanes.index(work)
            lanes[lane] = None
            self._slices.append(
                {
                    "ph": "X",
                    "name": job.name,
                    "cat": job.tenant,
                    "pid": process,
                    "tid": (device + 1) * _LANES + lane,
                    "ts": (now - segment.held_s) * _MICROSECONDS,
                    "dur": segment.held_s * _MICROSECONDS,
                    "args": {"job": job.id, "user": job.user, "workers": segment.num_workers, "ended": why.value},
                }
            )

    def refused(self, work: JobWork, now: float, reason: str) -> None:
        """See `Observer`."""

    def capacity_changed(self, node: str, is_up: bool, now: float) -> None:
        """See `Observer`."""
        name = "node is back" if is_up else "node fails"
        self._slices.append(
            {"ph": "i", "name": name, "pid": self._process[node], "tid": 0, "ts": now * _MICROSECONDS, "s": "p"}
        )

    def decided(self, now: float, num_waiting: int) -> None:
        """See `Observer`."""
        for name, value in (("waiting jobs", num_waiting), ("allocated devices", round(self._held, 3))):
            self._counters.append(
                {"ph": "C", "name": name, "pid": self._first, "tid": 0, "ts": now * _MICROSECONDS, "args": {name: value}}
            )

    def events(self) -> Iterator[JsonObject]:
        """Names first, then what happened."""
        yield _named("process_name", self._first, 0, f"{self._policy}: all")
        used = {(slice_["pid"], slice_["tid"]) for slice_ in self._slices}
        for node in self._nodes:
            process = self._process[node.id]
            yield _named("process_name", process, 0, f"{self._policy}: {node.id}")
            names = {_CPU: "no device"} | {at: f"{device.model} {at}" for at, device in enumerate(accelerators(node))}
            for device, name in names.items():
                for lane in range(len(self._lanes.get((process, device), ()))):
                    thread = (device + 1) * _LANES + lane
                    if (process, thread) in used:
                        yield _named("thread_name", process, thread, f"{name} ({lane + 1})" if lane else name)
        yield from self._counters
        yield from self._slices

    def _threads(self, places: Sequence[WorkerPlace]) -> Iterator[tuple[int, int]]:
        """Process and device of each slice that these places make."""
        for place in places:
            for device in place.devices or (_CPU,):
                yield self._process[place.node], device


def _named(kind: str, process: int, thread: int, name: str) -> JsonObject:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}
