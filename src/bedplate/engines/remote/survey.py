"""What each machine of a cluster is, read there and now: one call a node, all at the same time, one deadline for all.

No engine is opened for it and no cores are taken, so it works on a full cluster; a silent node costs the others nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from bedplate.core.errors import BedplateError
from bedplate.engines.base import NodeReport
from bedplate.engines.remote.answers import Described
from bedplate.engines.remote.conversation import Conversation
from bedplate.engines.remote.orders import ReadMachine
from bedplate.engines.remote.transport import Agent, Call, RemoteNode, Transport


def survey(transport: Transport, timeout_s: float) -> tuple[NodeReport, ...]:
    """A report of every node that is alive, by name.

    Args:
        transport: The way to the nodes.
        timeout_s: What has not answered by then is reported as silent.
    """
    conversation = Conversation(transport, "survey")
    deadline_s = time.monotonic() + timeout_s
    calls: list[tuple[RemoteNode, Agent, Call]] = []
    for node in transport.nodes().values():
        agent = transport.agent(node)
        calls.append((node, agent, conversation.order(agent, ReadMachine(node_reader=transport.node_reader))))
    reports = [_report(conversation, node, agent, call, deadline_s) for node, agent, call in calls]
    return tuple(sorted(reports, key=lambda report: report.id))


def _report(conversation: Conversation, node: RemoteNode, agent: Agent, call: Call, deadline_s: float) -> NodeReport:
    labels: Mapping[str, str] = node.labels
    try:
        seen = conversation.answer_of(agent, call, Described, max(0.0, deadline_s - time.monotonic())).node
    except BedplateError as error:
        detail = f": {str(error.seen).splitlines()[0]}" if error.seen is not None and str(error.seen) else ""
        return NodeReport(id=node.name, labels=labels, troubles=(f"{error.what}{detail}",), has_answered=False)
    return NodeReport(id=node.name, labels={**seen.labels, **labels}, devices=seen.devices, troubles=seen.troubles)
