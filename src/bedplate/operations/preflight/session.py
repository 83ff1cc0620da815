"""The state of one screening, which measuring and pairing share: the tasks that hold the slots, and what is known of them.

A process that ends during the screening is not yet a bad slot: anything may have killed it. So its slot is tried once more by
a fresh process on the same cores, and only a second end counts against the slot. A process that is alive but gives no
answer in time proves nothing about the slot either: the slot is excluded as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from bedplate.core.errors import ResourcesError, UnavailableError, UsageError
from bedplate.core.messages import encode
from bedplate.core.reporter import Reporter
from bedplate.core.workload import ExitCause, Gang, Placement, Resources, Task, TaskPlacement, TaskStatus
from bedplate.engines.base import Engine, GangHandle
from bedplate.operations.preflight.coordinator import ScreeningCoordinator
from bedplate.operations.preflight.measure import RateReport
from bedplate.operations.preflight.messages import Answer, Order, ScreenSpec
from bedplate.operations.preflight.verdicts import Pair

ENTRY = "bedplate.workers.screen:main"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningLimits:
    """What is measured, for how long, and what counts as bad."""

    precisions: tuple[str, ...] = ("fp32", "bf16")
    budget_s: float = 1.2
    """Time for the measurements of one slot."""
    slow_share: float = 0.5
    """How far below its peers' rate a slot may fall."""
    floor_flops: float = 1e9
    """Below any core in use today: catches slots that are all equally slow, in every precision."""
    floor_bytes_per_s: float = 2.5e8
    """The same for copies, in bytes/s."""
    pair_bytes: int = 4 * 2**20
    """Buffer of a pair's all-reduce."""
    pair_timeout_s: float = 10.0
    """For the rendezvous of a pair, and for each of its sums."""
    slow_pair_ratio: float = 5.0
    """A pair may take at most this many times as long as the fastest quarter of the pairs."""
    start_timeout_s: float = 120.0
    """For all tasks to start and connect."""
    hung_after_s: float = 30.0
    """Silence after which a slot's task counts as hung."""
    num_retries: int = 2
    """How often a slow slot is measured again before it is excluded."""

    def __post_init__(self) -> None:
        times_s = (self.budget_s, self.pair_timeout_s, self.start_timeout_s, self.hung_after_s)
        if not min(times_s) > 0:
            raise UsageError("a screening needs time", seen=f"{min(times_s)} s", expected="times above 0 s")


@dataclass(frozen=True, slots=True)
class Member:
    """The task that holds a slot now."""

    handle: GangHandle
    rank: int


@dataclass(slots=True)
class Session:
    """A screening in progress: which task holds each slot, and what is known so far."""

    engine: Engine
    limits: ScreeningLimits
    cores_per_slot: int
    reporter: Reporter
    coordinator: ScreeningCoordinator = field(init=False)
    members: dict[int, Member] = field(default_factory=dict)
    """Slot -> the task that holds it."""
    one_by_one: bool = False
    """Slots share cores: let only one, or one pair, work at a time."""
    rates: dict[int, RateReport] = field(default_factory=dict)
    pair_seconds: dict[Pair, float] = field(default_factory=dict)
    """Time of one all-reduce, where it worked."""
    pair_errors: dict[Pair, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    """Slots that are out, and why."""
    disturbed: dict[int, str] = field(default_factory=dict)
    """Slots that were slow because of other work, and how slow; they are still in."""
    undecided: set[int] = field(default_factory=set)
    """Those of them that may be innocent."""
    first_losses: dict[int, str] = field(default_factory=dict)
    """Slots whose first process ended, and how."""
    unreplaced: set[int] = field(default_factory=set)
    """Those of them that wait for their second process."""

    def __post_init__(self) -> None:
        self.coordinator = ScreeningCoordinator(self._ended)

    @property
    def standing(self) -> list[int]:
        """Slots that have a process and no finding against them so far."""
        return [slot for slot in self.members if slot not in self.reasons and slot not in self.unreplaced]

    def status(self, slot: int) -> TaskStatus:
        """The task that holds a slot."""
        member = self.members[slot]
        return self.engine.status(member.handle).tasks[member.rank]

    def start(self, num_slots: int) -> None:
        """Take `num_slots` slots of the engine and wait for their tasks.

        Raises:
            ResourcesError: The engine has not that many free slots.
        """
        self._submit("screen", range(num_slots), None)
        self.coordinator.gather(set(self.members), self.limits.start_timeout_s)
        self.note_losses("it started")

    def ask(self, orders: Mapping[int, Order], timeout_s: float, doing: str) -> dict[int, Answer]:
        """Answers by slot; slots whose task is lost on the way are noted."""
        answers = self.coordinator.ask(orders, timeout_s)
        self.note_losses(doing)
        return answers

    def note_losses(self, doing: str) -> None:
        """Note what became of slots whose task will not answer again."""
        for slot, loss in self.coordinator.lost.items():
            if slot in self.reasons or slot in self.unreplaced:
                continue
            if loss == "late":
                self.reasons[slot] = f"its process did not answer in time while {doing}"
                self.undecided.add(slot)
            elif slot in self.first_losses:
                self.reasons[slot] = f"{self._how_it_ended(slot)} while {doing}; before that {self.first_losses[slot]}"
            else:
                self.first_losses[slot] = f"{self._how_it_ended(slot)} while {doing}"
                self.unreplaced.add(slot)

    def replace_ended(self) -> list[int]:
        """Start a fresh process on each slot whose first one ended; returns the slots where it has connected."""
        slots = sorted(self.unreplaced)
        if not slots:
            return []
        self.reporter.say(f"slots {', '.join(map(str, slots))}: the process ended; retrying once with a fresh one")
        places = [self.status(slot) for slot in slots]
        placement = Placement(tasks=tuple(TaskPlacement(node=place.node, cores=place.cores) for place in places))
        self.unreplaced.clear()
        try:
            self._submit("screen-again", slots, placement)
        except (ResourcesError, UnavailableError) as error:
            for slot in slots:
                self.reasons[slot] = f"{self.first_losses[slot]}, and it could not be retried: {error.what}"
            self.undecided.update(slots)
            return []
        for slot in slots:
            self.coordinator.expect_again(slot)
        self.coordinator.gather(set(slots), self.limits.start_timeout_s)
        self.note_losses("it started again")
        return [slot for slot in slots if slot in self.standing]

    def close(self) -> None:
        """End all tasks."""
        self.coordinator.close()
        for handle in {member.handle.id: member.handle for member in self.members.values()}.values():
            self.engine.wait(handle, 2.0)
            self.engine.cancel(handle, grace_s=0.5)

    def _submit(self, name: str, slots: Sequence[int], placement: Placement | None) -> None:
        spec = encode(ScreenSpec(endpoint=self.coordinator.endpoint, slots=tuple(slots)))
        task = Task(entry=ENTRY, spec=spec, resources=Resources(cpus=self.cores_per_slot))
        gang = Gang(name=name, tasks=(task,) * len(slots), heartbeat_timeout_s=self.limits.hung_after_s)
        handle = self.engine.submit(gang, placement)
        self.members |= {slot: Member(handle, rank) for rank, slot in enumerate(slots)}

    def _ended(self) -> Set[int]:
        self.reporter.check_cancelled()
        return {slot for slot in self.members if self.status(slot).state.is_final}

    def _how_it_ended(self, slot: int) -> str:
        """Of a lost task; its connection closes a moment before the engine has seen its end."""
        member, after = self.members[slot], 0
        for _ in range(20):
            status = self.status(slot)
            if status.state.is_final:
                break
            events = self.engine.events(member.handle, after=after, wait_s=0.1)
            after = events[-1].sequence + 1 if events else after
        if status.cause is ExitCause.HUNG:
            return "its process hung"
        if status.exit_code is not None and status.exit_code < 0:
            return f"its process died of signal {-status.exit_code}"
        return f"its process died ({status.message or status.cause or 'no reason known'})"
