"""Policies of a replay in words: `QUEUE` or `QUEUE/PLACEMENT`, as in `fair`, `fifo/rollout`, `priority+shortest/my_lab.spread`.

QUEUE is one of `QUEUES`, or rules of the scheduler's queue joined by `+`; PLACEMENT is a placement policy. Either may name
modules of one's own by their dotted paths. What a word does not say is as in the settings of the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bedplate.compute.scheduler.placement import check_policy
from bedplate.compute.scheduler.queue import RULES
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.errors import UsageError, check_known

QUEUES: Mapping[str, Mapping[str, object]] = {
    "fifo": {"order": ("age",), "backfill": False, "preemption": False},
    "backfill": {"order": ("age",), "backfill": True, "preemption": False},
    "shortest": {"order": ("shortest", "age"), "preemption": False},
    "priority": {"order": ("priority", "age")},
    "fair": {"order": ("fair", "age")},
    "default": {},
}
"""Name -> settings of the scheduler: first come first served; the same with backfill; shortest expected first; by priority; by
fair share; all rules of the scheduler together."""


def scheduler_settings(policy: str, base: SchedulerSettings) -> SchedulerSettings:
    """The settings that a policy in words means.

    Args:
        policy: `QUEUE` or `QUEUE/PLACEMENT`.
        base: What the words do not say.

    Raises:
        UsageError: A rule or placement policy that is not known; with the nearest one.
    """
    queue, slash, placement = policy.partition("/")
    if not queue or (slash and not placement):
        raise UsageError("the policy cannot be read", seen=policy, expected="QUEUE or QUEUE/PLACEMENT, such as fair/rollout")
    if slash:
        check_policy(placement)
    settings = replace(base, **_of_queue(queue))  # type: ignore[arg-type]
    return replace(settings, placement=placement) if slash else settings


def _of_queue(queue: str) -> Mapping[str, object]:
    if queue in QUEUES:
        return QUEUES[queue]
    rules = tuple(queue.split("+"))
    for rule in rules:
        if "." not in rule:
            check_known(rule, tuple(dict.fromkeys((*QUEUES, *RULES))), "unknown queue policy")
            if rule not in RULES:
                raise UsageError(
                    f"'{rule}' is a policy by itself", seen=queue, expected=f"rules joined by +: {', '.join(RULES)}"
                )
    return {"order": rules}
