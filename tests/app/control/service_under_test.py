"""A controller over a state of its own, with nodes and processes that a test moves."""

from collections.abc import Callable
from pathlib import Path

from bedplate.app.control.controller import Controller
from bedplate.app.control.requests import Terms
from bedplate.compute.costs.prices import Prices
from bedplate.compute.scheduler.job import Request
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Device, Node
from bedplate.core.messages import encode
from bedplate.state.database.location import read_location
from bedplate.state.job_records import JobRecord, NewJob, Phase
from bedplate.state.store import StateStore
from tests.app.control.fake_launcher import FakeLauncher


def node(name: str, cores: int = 2, cards: tuple[str, ...] = (), labels: dict[str, str] | None = None) -> Node:
    cpu = Device(id="cpu:0", kind="cpu", vendor="any", model="any", memory_bytes=2**34, cores=tuple(range(cores)))
    devices = tuple(
        Device(id=f"gpu:{number}", kind="gpu", vendor="any", model=model, memory_bytes=80 * 10**9)
        for number, model in enumerate(cards)
    )
    return Node(id=name, devices=(cpu, *devices), memory_bytes=2**34, labels=labels or {})


class ServiceUnderTest:
    """One state; `restart` is what a service that was killed and came again does."""

    def __init__(self, folder: Path, *nodes: Node, state: str | None = None, prices: Prices | None = None) -> None:
        self.clock = VirtualClock()
        self.clock.advance(1_000.0)
        self.state = StateStore.open(read_location(state or str(folder / "state"), lambda: folder), self.clock)
        self.nodes = {item.id: item for item in nodes}
        self.launcher = FakeLauncher(self.state)
        self.is_sole = True
        self.is_held: Callable[[], bool] = lambda: self.is_sole
        self.settings = SchedulerSettings()
        self.prices = prices
        self.restart()

    def restart(self) -> None:
        self.controller = Controller(
            state=self.state,
            nodes=lambda: tuple(self.nodes.values()),
            launcher=self.launcher,
            is_held=self.is_held,
            settings=self.settings,
            prices=self.prices,
        )

    def submit(
        self,
        request: Request | None = None,
        *,
        user: str = "alice",
        tenant: str = "default",
        priority: int = 0,
        key: str | None = None,
        terms: Terms | None = None,
    ) -> str:
        self._keys = getattr(self, "_keys", 0) + 1
        job = NewJob(
            name="test",
            key=key or f"key-{self._keys}",
            user=user,
            tenant=tenant,
            priority=priority,
            file="test.yaml",
            document={},
            request=encode(request or Request()),
            terms=encode(terms or Terms()),
        )
        added = self.state.jobs.add(job)
        assert added is not None
        return added[0].id

    def step(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.controller.step()

    def start(self, request: Request | None = None, **options: object) -> str:
        """A job that runs."""
        job_id = self.submit(request, **options)  # type: ignore[arg-type]
        self.step()
        assert self.launcher.come_up(job_id)
        return job_id

    def job(self, job_id: str) -> JobRecord:
        record = self.state.jobs.get(job_id)
        assert record is not None
        return record

    def phase(self, job_id: str) -> Phase:
        return self.job(job_id).phase

    def kinds(self, job_id: str) -> list[str]:
        """Kinds of events of a job, in order."""
        return [event.kind for event in self.state.events.after() if event.subject.id == job_id]
