"""What the scheduler knows: jobs that wait and run, what they hold, nodes, tenants.

The state changes by what happened, and by nothing else: whoever carries decisions out tells it. `decide` reads it. So a live
service and a simulator share it, and after a restart it is made again from what is on record: nodes, jobs in the order in
which they were submitted (`check=False`: what was accepted stays accepted), what runs (`started`), what was asked to end.

Jobs of a lost node keep their other places until `requeued` or `ended` says that their workers are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from bedplate.compute.scheduler.job import Allocation, Job, WorkerPlace
from bedplate.compute.scheduler.jobs.entry import Entry, Phase
from bedplate.compute.scheduler.jobs.holdings import Holdings
from bedplate.compute.scheduler.jobs.job_index import JobIndex
from bedplate.compute.scheduler.nodes.fit_memo import FitMemo
from bedplate.compute.scheduler.nodes.needs import Catalog, Speed, Variant
from bedplate.compute.scheduler.nodes.node_book import NodeBook
from bedplate.compute.scheduler.nodes.placer import Placer
from bedplate.compute.scheduler.occupy import checked_places, occupy, vacate
from bedplate.compute.scheduler.placement.arrays import States
from bedplate.compute.scheduler.queue.order import QueueOrder
from bedplate.compute.scheduler.quota.ledger import Charge, Ledger
from bedplate.compute.scheduler.quota.tenants import DeviceType, Quota
from bedplate.compute.scheduler.retarget import retarget
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.unsatisfiable import refusal
from bedplate.core.devices import Node
from bedplate.core.errors import NotFoundError, UsageError


class SchedulerState:
    """All that `decide` reads. Has one owner; not thread-safe."""

    def __init__(
        self,
        nodes: Iterable[Node] = (),
        device_types: Iterable[DeviceType] = (),
        quotas: Iterable[Quota] = (),
        settings: SchedulerSettings | None = None,
        speed: Speed | None = None,
        history: Iterable[Job] = (),
    ) -> None:
        """Args:
        nodes: Those that are there at first.
        device_types: Memory, units and speeds of models; a model that is not named has 1 unit and speed 1.
        quotas: What tenants may have; a tenant that is not named is guaranteed nothing and may borrow everything.
        settings: How to decide.
        speed: Relative speed of a kind of job on a model; that of `device_types` if None.
        history: Jobs that came before: what placement policies that look ahead know of the future.
        """
        nodes = list(nodes)
        self.settings = settings or SchedulerSettings()
        types = {item.model: item for item in device_types}
        units = self._units = {model: item.units for model, item in types.items()}
        self.nodes = NodeBook(nodes, units)
        self.catalog = Catalog(self.nodes.cluster, types.values(), speed)
        for node in nodes:
            self.catalog.learn(node)
        self.ledger = Ledger(quotas, units, self.settings.half_life)
        self.order = QueueOrder(self.settings, self.ledger, self.nodes.capacity)
        past = [self.catalog.shape_of(job) for job in history]
        self.placer = Placer(self.nodes, self.settings.placement, past)
        self.memo = FitMemo(self.nodes.cluster)
        self.holdings = Holdings()
        self._index = index = JobIndex(self.holdings, self.settings)
        self.entries: dict[str, Entry] = {}
        self.refused: dict[str, Entry] = {}
        """Jobs that can never run, until they are withdrawn."""
        self.queue, self.deadlines = index.queue, index.deadlines
        """Waiting jobs; of these the ones that have a deadline."""
        self.running = index.running
        """Jobs that hold places, by id; those that were asked to end too."""
        self.going, self.incomplete, self.buckets = index.going, index.incomplete, index.buckets
        """Of these the ones that were asked to end or to shrink; that have fewer workers than they want; that can make room."""
        self.off_target = index.off_target
        """Jobs with places whose numbers were changed, and that have more workers than they want or fewer than their least."""
        self.beneficiaries = index.beneficiaries
        """Waiting jobs for which others were asked to make room."""
        self.empty: tuple[int, States] | None = None
        """All nodes as if nothing ran there, and the change of nodes as of which that holds; see `unsatisfiable.py`."""
        self.most_workers: dict[object, int] = {}
        """The most workers of a shape that the empty cluster has room for."""
        self._charges: dict[tuple[int, int], Charge] = {}
        self._sequence = 0

    def entry(self, job_id: str) -> Entry:
        """What is known of a job.

        Raises:
            NotFoundError: It never was, or it is gone.
        """
        try:
            return self.entries[job_id]
        except KeyError:
            raise NotFoundError("no such job", seen=job_id, expected="a job that waits or runs") from None

    def submit(self, job: Job, *, check: bool = True) -> None:
        """A job is there, and waits.

        Args:
            job: What it is.
            check: Whether it is refused (by the next decision) if nothing here can ever run it.

        Raises:
            UsageError: A job of that id is there already.
        """
        if job.id in self.entries:
            raise UsageError("two jobs have one id", seen=job.id, expected="an id that no waiting or running job has")
        shape = self.catalog.shape_of(job)
        self._sequence += 1
        entry = self.entries[job.id] = Entry(
            job=job,
            sequence=self._sequence,
            tenant=self.ledger.tenant(job.tenant),
            shape=shape,
            key=self.order.job_key(job),
        )
        self.placer.observe(shape)
        entry.refusal = refusal(self, entry) if check else None
        if entry.refusal is not None:
            self.refused[job.id] = entry
        else:
            self._index.wait(entry)

    def withdraw(self, job_id: str) -> None:
        """A job that waits is not wanted any more, or was refused."""
        entry = self.entry(job_id)
        if entry.phase is not Phase.WAITING:
            raise UsageError(
                "a job that runs cannot be withdrawn",
                seen=job_id,
                expected="a job that waits",
                next_step="end it first",
            )
        if self.refused.pop(job_id, None) is None:
            self._index.wait_no_more(entry)
        self._forget(entry)

    def started(self, job_id: str, allocation: Allocation, now: float) -> None:
        """A waiting job runs.

        Raises:
            NotFoundError: There is no such job, or no such node; nothing changed.
            UsageError: The places are not what it asks for, or not free; nothing changed.
        """
        entry = self.entry(job_id)
        assert entry.phase is Phase.WAITING and job_id not in self.refused, f"{job_id} does not wait"
        taken = checked_places(self, entry, allocation)
        self._index.wait_no_more(entry)
        entry.phase, entry.started_s, entry.started_frac = Phase.RUNNING, now, entry.done_frac
        occupy(self, entry, allocation, taken, now)
        self._index.run(entry)
        self._index.served(entry)

    def ended(self, job_id: str, now: float) -> None:
        """A job that ran is over: done, failed or cancelled."""
        entry = self.entry(job_id)
        self._stop(entry, now)
        self._forget(entry)

    def requeued(self, job_id: str, now: float, *, done_frac: float | None = None, not_before_s: float = 0.0) -> None:
        """A job that ran has ended before it was done (its node was lost, it was not launched), and waits again.

        Args:
            job_id: Which.
            now: In seconds.
            done_frac: How much of its work is kept; what was heard last if None.
            not_before_s: It does not start before that.
        """
        entry = self.entry(job_id)
        self._stop(entry, now)
        if done_frac is not None:
            entry.done_frac = done_frac
        entry.phase, entry.not_before_s = Phase.WAITING, not_before_s
        self._index.wait(entry)

    def preempting(self, job_id: str, beneficiary: str, now: float) -> None:
        """A running job was asked to end for another one."""
        entry = self.entry(job_id)
        assert entry.phase is Phase.RUNNING, f"{job_id} does not run"
        entry.phase, entry.ends_by_s = Phase.PREEMPTING, now + entry.job.grace_s
        self.holdings.ends_by(entry.slot, entry.ends_by_s)
        self._index.make_room(entry, self.entries.get(beneficiary), beneficiary)

    def preempted(self, job_id: str, now: float, *, done_frac: float | None = None) -> None:
        """It has ended, and waits again; arguments as for `requeued`."""
        entry = self.entry(job_id)
        assert entry.phase is Phase.PREEMPTING, f"{job_id} was not asked to end"
        entry.preempted_s.append(now)
        entry.displaced_by.add(entry.beneficiary)
        self.requeued(job_id, now, done_frac=done_frac, not_before_s=now + self.settings.backoff)

    def shrinking(self, job_id: str, released: tuple[WorkerPlace, ...], beneficiary: str, now: float) -> None:
        """A running job was asked to give these places back; `resized` says that it did."""
        entry = self.entry(job_id)
        assert entry.allocation is not None and entry.phase is Phase.RUNNING, f"{job_id} does not run"
        places, asked = entry.allocation.places, set(entry.shrinking)
        for place in released:
            asked.add(next(at for at, held in enumerate(places) if held == place and at not in asked))
        entry.shrinking = frozenset(asked)
        self._index.make_room(entry, self.entries.get(beneficiary), beneficiary)

    def resized(self, job_id: str, allocation: Allocation, now: float) -> None:
        """A running job has these places now; those that it keeps are among those that it had. Raises as `started` does."""
        entry = self.entry(job_id)
        assert entry.allocation is not None, f"{job_id} does not run"
        taken = checked_places(self, entry, allocation)
        self._index.run_no_more(entry)
        vacate(self, entry, now)
        occupy(self, entry, allocation, taken, now)
        entry.shrinking = frozenset()
        self._index.run(entry)
        if entry.ends_by_s is not None:
            self.holdings.ends_by(entry.slot, entry.ends_by_s)
        if entry.phase is Phase.RUNNING:
            self._index.made_room(entry)

    def retarget(self, job_id: str, workers: int, fewest: int) -> None:
        """A job wants `workers` workers from now on, and is entitled to `fewest` of them; see `retarget.py`.

        Raises:
            NotFoundError: There is no such job.
            UsageError: There is no such number of workers.
        """
        retarget(self, self._index, self.entry(job_id), workers, fewest)

    def progressed(self, job_id: str, done_frac: float, now: float) -> None:
        """How much of its work a running job has done, and kept."""
        entry = self.entry(job_id)
        entry.done_frac = min(max(done_frac, 0.0), 1.0)
        elapsed_s, gained = now - entry.started_s, entry.done_frac - entry.started_frac
        if entry.phase is Phase.RUNNING and elapsed_s > 0 and gained > 0:
            self.holdings.expect(entry.slot, now, (1 - entry.done_frac) * elapsed_s / gained)

    def expected_end_s(self, job_id: str) -> float | None:
        """When a running job is expected to end, in seconds of the scheduler's clock; None where nobody knows."""
        return self.holdings.end_s(self.entry(job_id).slot)

    def described(self, types: Iterable[DeviceType]) -> None:
        """What is known of models that no node here has yet; say so before such a node is added."""
        types = tuple(types)
        self.catalog.describe(types)
        self._units.update({item.model: item.units for item in types})

    def speeds_changed(self) -> None:
        """The speeds that this state was given say something else now; O(waiting and running jobs)."""
        self.catalog.forget_speeds()
        self._reshape()

    def node_added(self, node: Node) -> None:
        """A node is there."""
        known = len(self.nodes.cluster.models)
        self.memo.freed([self.nodes.add(node)])
        self.catalog.learn(node)
        if len(self.nodes.cluster.models) != known:
            self._reshape()

    def node_relabelled(self, node: Node) -> None:
        """A node that is there has other labels; what runs there stays."""
        self.memo.freed([self.nodes.relabel(node)])

    def node_lost(self, node_id: str) -> tuple[Job, ...]:
        """A node is gone.

        Returns:
            Jobs that had a worker there: end what is left of them, then say `requeued` or `ended`.
        """
        at = self.nodes.remove(node_id)
        return tuple(entry.job for entry in self.running.values() if any(item.node == at for item in entry.taken))

    def node_usable(self, node_id: str, is_usable: bool, reason: str = "") -> None:
        """Whether anything new may be placed on a node (drained, unhealthy …); what runs there stays."""
        self.nodes.set_usable(node_id, is_usable, reason)
        self.memo.freed([self.nodes.index_of(node_id)])

    def device_usable(self, node_id: str, position: int, is_usable: bool) -> None:
        """The same of one accelerator, by its position among those of the node."""
        self.nodes.set_device_usable(node_id, position, is_usable)
        self.memo.freed([self.nodes.index_of(node_id)])

    def set_quota(self, quota: Quota) -> None:
        """What a tenant may have from now on."""
        self.ledger.set_quota(quota)

    def charge_of(self, variant: Variant, workers: int) -> Charge:
        """What so many workers count for."""
        if (known := self._charges.get((variant.item, workers))) is None:
            need = variant.need
            known = self.ledger.charge_of(variant.model, need.device_milli, need.cpu_milli, need.memory_mib, workers)
            self._charges[variant.item, workers] = known
        return known

    def _stop(self, entry: Entry, now: float) -> None:
        """A job holds nothing any more."""
        assert entry.phase is not Phase.WAITING, f"{entry.job.id} does not run"
        self._index.run_no_more(entry)
        vacate(self, entry, now)
        entry.allocation, entry.ends_by_s, entry.shrinking = None, None, frozenset()
        self._index.made_room(entry)

    def _forget(self, entry: Entry) -> None:
        """A job is gone."""
        self._index.served(entry)
        del self.entries[entry.job.id]

    def _reshape(self) -> None:
        """There is a new model: jobs that accept any may run on it."""
        self.memo.forget()
        for entry in list(self.queue):
            self.queue.remove(entry)
            entry.shape = self.catalog.shape_of(entry.job)
            self.queue.add(entry)
        for entry in self.running.values():
            entry.shape = self.catalog.shape_of(entry.job)
