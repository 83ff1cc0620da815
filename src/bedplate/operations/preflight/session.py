"""The state of one screening, which measuring and pairing share: the tasks that hold the slots, and what is known of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bedplate.core.json import JsonObject
from bedplate.core.workload import ExitCause, TaskStatus
from bedplate.engines.base import Engine, GangHandle
from bedplate.operations.preflight.measure import RateReport
from bedplate.operations.preflight.orders import OrderDesk
from bedplate.operations.preflight.verdicts import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningLimits:
    """What is measured, for how long, and what counts as bad."""

    precisions: tuple[str, ...] = ("fp32", "bf16")
    budget_s: float = 1.2
    """For the measurements of one slot."""
    slow_share: float = 0.5
    """How much of its peers' rate a slot may lack."""
    floor_flops: float = 1e9
    """Slower than any core that is in use today: catches slots that are all slow alike, in every precision."""
    floor_bytes_per_s: float = 2.5e8
    """The same for copies."""
    pair_bytes: int = 4 * 2**20
    """Buffer of a pair's all-reduce."""
    pair_timeout_s: float = 10.0
    """For the meeting of a pair, and for each of its sums."""
    slow_pair_ratio: float = 5.0
    """How many times the time of the quicker quarter of the pairs one may take."""
    start_timeout_s: float = 120.0
    """For all tasks to start and call."""
    hung_after_s: float = 30.0
    """Silence after which a slot's task counts as hung."""
    num_retries: int = 2
    """How often a slow slot is measured again before it is left out."""


@dataclass(slots=True)
class Session:
    """A screening under way: who holds the slots, and what is known so far."""

    engine: Engine
    handle: GangHandle
    desk: OrderDesk
    limits: ScreeningLimits
    say: Callable[[str], None]
    one_by_one: bool = False
    """Slots share cores: let only one, or one pair, work at a time."""
    rates: dict[int, RateReport] = field(default_factory=dict)
    pair_seconds: dict[Pair, float] = field(default_factory=dict)
    """Time of one all-reduce, where it worked."""
    pair_errors: dict[Pair, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    """Slots that are out, and why."""
    undecided: set[int] = field(default_factory=set)
    """Those of them that may not be at fault themselves."""

    @property
    def slots(self) -> range:
        """All slots: ranks of the gang that holds them."""
        return range(self.handle.num_tasks)

    @property
    def standing(self) -> list[int]:
        """Slots that nothing speaks against so far."""
        return [slot for slot in self.slots if slot not in self.reasons]

    def ask(self, orders: Mapping[int, JsonObject], timeout_s: float, doing: str) -> dict[int, JsonObject]:
        """Answers by slot; a slot whose task is lost on the way is out, with how the engine saw it end."""
        answers = self.desk.ask(orders, timeout_s)
        self.note_losses(doing)
        return answers

    def note_losses(self, doing: str) -> None:
        """Strike out slots whose task will answer no more."""
        for slot, loss in self.desk.lost.items():
            if slot not in self.reasons:
                self.reasons[slot] = f"{_loss_text(_final_status(self, slot), loss)} while {doing}"


def _final_status(session: Session, slot: int) -> TaskStatus:
    """Status of a lost task; its line closes a moment before the engine has seen its end."""
    deadline_s = time.monotonic() + 2.0
    after = 0
    while True:
        status = session.engine.status(session.handle).tasks[slot]
        if status.state.is_final or session.desk.lost[slot] == "hung" or time.monotonic() > deadline_s:
            return status
        for event in session.engine.events(session.handle, after=after, wait_s=0.1):
            after = event.sequence + 1


def _loss_text(status: TaskStatus, loss: str) -> str:
    if loss == "hung" or status.cause is ExitCause.HUNG:
        return "its process hung"
    if status.exit_code is not None and status.exit_code < 0:
        return f"its process died of signal {-status.exit_code}"
    return f"its process died ({status.message or status.cause or 'no reason known'})"
