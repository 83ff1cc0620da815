"""Orders to agents in the name of one engine, and their answers: the only place of the driver that packs and reads them."""

from __future__ import annotations

from typing import TypeVar

from bedplate.core.errors import AgentLostError, BedplateError, MessageError
from bedplate.engines.remote.answers import Answer, Failed
from bedplate.engines.remote.messages import pack_order, read_answer
from bedplate.engines.remote.orders import Order
from bedplate.engines.remote.transport import ANSWER_S, Agent, Call, Transport

A = TypeVar("A", bound=Answer)


class Conversation:
    """What one engine says to the agents of a cluster.

    Args:
        transport: The way to them.
        engine: Name of the engine on every agent.
    """

    def __init__(self, transport: Transport, engine: str) -> None:
        self.transport = transport
        self._engine = engine

    def order(self, agent: Agent, order: Order) -> Call:
        """Send an order; returns without waiting."""
        return self.transport.call(agent, pack_order(self._engine, order))

    def answer(self, call: Call, expected: type[A], timeout_s: float = ANSWER_S) -> A:
        """What an agent answers to an order.

        Raises:
            AgentLostError: The agent, or its node, is gone.
            UnavailableError: It did not answer in time.
            MessageError: It is of another version of bedplate, or answers something else.
            BedplateError: The agent's own error.
        """
        answer = read_answer(self.transport.answer(call, timeout_s))
        if isinstance(answer, Failed):
            raise BedplateError.from_json(answer.error)
        if not isinstance(answer, expected):
            raise MessageError("not an answer to this order", seen=answer.kind, expected=expected.__name__)
        return answer

    def answer_of(self, agent: Agent, call: Call, expected: type[A], timeout_s: float = ANSWER_S) -> A:
        """As `answer`, of an agent that is forgotten where it is found lost."""
        try:
            return self.answer(call, expected, timeout_s)
        except AgentLostError:
            self.transport.forget(agent)
            raise

    def ask(self, agent: Agent, order: Order, expected: type[A], timeout_s: float = ANSWER_S) -> A:
        """Send an order and wait for its answer; raises as `answer_of`."""
        return self.answer_of(agent, self.order(agent, order), expected, timeout_s)
