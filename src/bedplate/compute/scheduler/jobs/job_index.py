"""Jobs by what a pass looks for: those that wait, in order; those that run, that make room, that want more."""

from __future__ import annotations

from bedplate.compute.scheduler.jobs.buckets import Buckets
from bedplate.compute.scheduler.jobs.deadlines import Deadlines
from bedplate.compute.scheduler.jobs.entry import Entry, Phase
from bedplate.compute.scheduler.jobs.holdings import Holdings
from bedplate.compute.scheduler.jobs.waiting import WaitingQueue
from bedplate.compute.scheduler.settings import SchedulerSettings


class JobIndex:
    """Has one owner, the state."""

    def __init__(self, holdings: Holdings, settings: SchedulerSettings) -> None:
        self.queue = WaitingQueue()
        self.deadlines = Deadlines()
        self.running: dict[str, Entry] = {}
        self.going: dict[str, Entry] = {}
        self.incomplete: dict[str, Entry] = {}
        self.off_target: dict[str, Entry] = {}
        self.buckets = Buckets(holdings, settings)
        self.beneficiaries: dict[str, Entry] = {}

    def wait(self, entry: Entry) -> None:
        """A job waits."""
        self.queue.add(entry)
        self.deadlines.add(entry)

    def wait_no_more(self, entry: Entry) -> None:
        """It waits no longer."""
        self.queue.remove(entry)
        self.deadlines.remove(entry)

    def run(self, entry: Entry) -> None:
        """A job holds places."""
        self.running[entry.job.id] = entry
        if entry.missing:
            self.incomplete[entry.job.id] = entry
        if entry.surplus or entry.owed:
            self.off_target[entry.job.id] = entry
        self.buckets.add(entry)

    def run_no_more(self, entry: Entry) -> None:
        """It holds them no longer, or others."""
        del self.running[entry.job.id]
        self.incomplete.pop(entry.job.id, None)
        self.off_target.pop(entry.job.id, None)
        self.buckets.remove(entry)

    def make_room(self, entry: Entry, beneficiary: Entry | None, beneficiary_id: str) -> None:
        """A job was asked to end or to shrink for another one, which may be gone by now."""
        entry.beneficiary = beneficiary_id
        self.going[entry.job.id] = entry
        if beneficiary is not None and beneficiary.phase is Phase.WAITING:
            beneficiary.victims.add(entry.job.id)
            beneficiary.room_on.update(item.node for item in entry.taken)
            self.beneficiaries[beneficiary_id] = beneficiary

    def made_room(self, entry: Entry) -> None:
        """It gave back what it was asked for; the one that it is for keeps its right to go first until it starts."""
        entry.beneficiary = ""
        self.going.pop(entry.job.id, None)

    def served(self, entry: Entry) -> None:
        """A job needs no more room."""
        entry.victims.clear()
        entry.room_on.clear()
        self.beneficiaries.pop(entry.job.id, None)
