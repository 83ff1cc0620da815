"""Listing nodes, and keeping new work off them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.paging import Page, PageRequest, page_by_name
from bedplate.app.control.calls.views import NodeView, node_views
from bedplate.app.control.scheduling.controller import Controller
from bedplate.core.errors import NotFoundError
from bedplate.core.events.event import Event, Subject, SubjectKind
from bedplate.core.events.kinds import NodeDrained, NodeUndrained, make_event
from bedplate.state.events import event_row
from bedplate.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCalls:
    """Calls about nodes."""

    state: StateStore
    controller: Controller
    wake: Callable[[], None]
    """Called when something was changed that the scheduler should see."""

    def page(self, caller: Caller, state: str | None, page: PageRequest) -> Page[NodeView]:
        """Nodes by name; with `state`, only those that are `usable`, `drained` or `lost`."""
        with self.controller.book() as book:
            views = node_views(book, self.state.drains.all(), caller.sees)
        return page_by_name([view for view in views if state in (None, view.state)], page, lambda view: view.id)

    def drain(self, caller: Caller, node_id: str, reason: str) -> None:
        """Place nothing new on a node.

        Raises:
            NotFoundError: No such node.
        """
        caller.check_role("drain nodes", Role.ADMIN, Role.OPERATOR)
        with self.controller.book() as book:
            known = [node.id for node in book.cores.nodes]
        if node_id not in known:
            raise NotFoundError(f"there is no node '{node_id}'", expected=", ".join(known[:8]) or "no node is there")
        self.state.drains.add(node_id, reason, caller.name)
        self._note(node_id, NodeDrained(reason=reason, by=caller.name), f"drained by {caller.name}: {reason}")
        self.wake()

    def undrain(self, caller: Caller, node_id: str) -> None:
        """Use a node again.

        Raises:
            NotFoundError: It is not drained.
        """
        caller.check_role("undrain nodes", Role.ADMIN, Role.OPERATOR)
        if not self.state.drains.remove(node_id):
            raise NotFoundError(f"node '{node_id}' is not drained", next_step="'bedplate nodes' shows which are")
        self._note(node_id, NodeUndrained(by=caller.name), f"used again, says {caller.name}")
        self.wake()

    def _note(self, node_id: str, facts: object, message: str) -> None:
        subject = Subject(kind=SubjectKind.NODE, id=node_id)
        event: Event = make_event(facts, at_s=self.state.clock.now(), message=message, subject=subject, source="service")
        self.state.append([event_row(event)], [])
