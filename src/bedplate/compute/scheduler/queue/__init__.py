"""In which order waiting jobs are looked at: rules, one a file, each after the other where the one before leaves a tie.

To add one: a file with `make_rule(settings)` and a line in `RULES`; or name a module of your own in the setting `order`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bedplate.core.errors import UsageError, check_known

if TYPE_CHECKING:
    from bedplate.compute.scheduler.queue.base import Rule
    from bedplate.compute.scheduler.settings import SchedulerSettings

RULES: dict[str, str] = {
    "priority": "bedplate.compute.scheduler.queue.priority",
    "fair": "bedplate.compute.scheduler.queue.fair",
    "deadline": "bedplate.compute.scheduler.queue.deadline",
    "shortest": "bedplate.compute.scheduler.queue.shortest",
    "age": "bedplate.compute.scheduler.queue.age",
}
"""Name -> module, which has `make_rule`."""


def open_rule(name: str, settings: SchedulerSettings) -> Rule:
    """The rule of that name.

    Args:
        name: One of `RULES`, or the dotted path of a module with `make_rule`.
        settings: What the rule may read.

    Raises:
        UsageError: Unknown, or no such module.
    """
    if "." not in name:
        check_known(name, RULES, "unknown order of the queue")
    try:
        rule: Rule = importlib.import_module(RULES.get(name, name)).make_rule(settings)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UsageError(
            "the order of the queue cannot be loaded", seen=f"{name}: {error}", expected="a module with make_rule(settings)"
        ) from error
    return rule
