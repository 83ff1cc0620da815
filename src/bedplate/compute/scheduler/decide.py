"""`decide(state, now) -> decisions`: what should happen now, as plain data; pure, and the same for the same state.

    for decision in decide(state, now):
        # a live service launches, asks to end …, then says `state.started(...)`, `state.preempting(...)`
        apply(state, decision, now)  # a simulator lets everything succeed at once

A pass looks at jobs in the order of the queue and tries each in a trial of the cluster and of the accounts, which is undone at
the end. What was decided and not yet carried out is unknown to the next pass, so carry decisions out before the next.
"""

from __future__ import annotations

from bedplate.compute.scheduler.decision import Decision, Grow, Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import Allocation
from bedplate.compute.scheduler.passes.scheduling_pass import SchedulingPass
from bedplate.compute.scheduler.state import SchedulerState


def decide(state: SchedulerState, now: float) -> tuple[Decision, ...]:
    """What should happen now.

    Args:
        state: Read; exactly as it was when this returns.
        now: Seconds of the clock that the state was told.

    Returns:
        In the order in which they were decided; empty if nothing should happen. They may be carried out in any order that
        ends what is asked to end before its beneficiary starts, which is never in the same pass.
    """
    with state.nodes.cluster.trial(), state.ledger.trial():
        return SchedulingPass(state, now).run()


def apply(state: SchedulerState, decision: Decision, now: float) -> None:
    """Tell the state that a decision is being carried out: starting and growing succeed at once, ending and shrinking begin.

    When a job that was asked to end has ended, say `state.preempted`; when one gave back what it was asked for, say
    `state.resized` with `shrunk(...)`.
    """
    match decision:
        case Start():
            state.started(decision.job_id, decision.allocation, now)
        case Preempt():
            state.preempting(decision.job_id, decision.beneficiary, now)
        case Shrink():
            state.shrinking(decision.job_id, decision.released, decision.beneficiary, now)
        case Grow():
            held = state.entry(decision.job_id).allocation
            assert held is not None
            grown = Allocation(model=held.model, places=held.places + decision.added)
            state.resized(decision.job_id, grown, now)
        case Refuse():
            state.withdraw(decision.job_id)


def shrunk(state: SchedulerState, job_id: str) -> Allocation:
    """What a job holds once it gave back what it was asked for."""
    entry = state.entry(job_id)
    assert entry.allocation is not None
    kept = tuple(place for at, place in enumerate(entry.allocation.places) if at not in entry.shrinking)
    return Allocation(model=entry.allocation.model, places=kept)
