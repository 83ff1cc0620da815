"""When a decision could change although nothing happens: for loops that would rather sleep than poll."""

from __future__ import annotations

from bedplate.compute.scheduler.state import SchedulerState


def next_decision_s(state: SchedulerState, now: float) -> float | None:
    """The next time at which `decide` should be asked without an event; None if none is known.

    A stopped job may start again, a deadline comes near, a loan ends, a job may grow or be preempted. O(jobs). Backfilling
    beside jobs of unknown duration changes slowly with time and is not in it: ask every few minutes as well.
    """
    settings = state.settings
    times = [entry.not_before_s for entry in state.queue]
    times += [tenant.quota.lent_until_s for tenant in state.ledger.tenants.values() if tenant.lent]
    times += [entry.resized_s + settings.least_run for entry in state.incomplete.values()]
    if (urgent_s := state.deadlines.next_s(now, settings.laxity)) is not None:
        times.append(urgent_s)
    if settings.preemption and len(state.queue):
        times += [state.buckets.ready_s(entry) for entry in state.running.values() if entry.job.is_preemptible]
    return min((at_s for at_s in times if at_s > now), default=None)
