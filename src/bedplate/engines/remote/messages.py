"""What a driver and its agents say to each other: bytes of JSON, by the one codec (`core/messages.py`).

Each order goes to the session of one engine of the driver and gets one answer. Both travel in an envelope that begins with the
version of bedplate that wrote it: an agent of another version is refused by that, before anything of the message is understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bedplate._version import __version__
from bedplate.core.errors import MessageError
from bedplate.core.json import Json
from bedplate.core.messages import decode, to_bytes
from bedplate.engines.remote.answers import Answer
from bedplate.engines.remote.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnvelope:
    """An order as it travels."""

    bedplate: str = __version__
    engine: str
    """Name of the session."""
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEnvelope:
    """An answer as it travels."""

    bedplate: str = __version__
    answer: Answer


def pack_order(engine: str, order: Order) -> bytes:
    """An order for the session `engine`, to be sent."""
    return to_bytes(OrderEnvelope(engine=engine, order=order))


def read_order(data: bytes) -> OrderEnvelope:
    """An order that was received.

    Raises:
        MessageError: It is of another version of bedplate, or no order.
    """
    return _read(OrderEnvelope, data)


def pack_answer(answer: Answer) -> bytes:
    """An answer, to be sent."""
    return to_bytes(AnswerEnvelope(answer=answer))


def read_answer(data: bytes) -> Answer:
    """An answer that was received.

    Raises:
        MessageError: It is of another version of bedplate, or no answer.
    """
    return _read(AnswerEnvelope, data).answer


E = TypeVar("E", OrderEnvelope, AnswerEnvelope)


def _read(cls: type[E], data: bytes) -> E:
    try:
        document: Json = json.loads(data)
    except ValueError as error:
        raise MessageError("not a message of bedplate", seen=repr(data[:80]), expected="JSON") from error
    version = document.get("bedplate") if isinstance(document, Mapping) else None
    if version != __version__:
        raise MessageError(
            "a message of another version of bedplate",
            seen="no version" if version is None else version,
            expected=__version__,
            next_step="install the same version of bedplate on every node",
        )
    return decode(cls, document)
