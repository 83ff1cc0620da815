"""Choices of one request share the engine with others: they wait for places, and end together when one fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from bedplate.core.generation import GenerationRequest
from bedplate.service.openai.answers.choices import Choices
from bedplate.service.openai.errors import ApiError
from bedplate.service.openai.generation import TextChunk


class Place:
    """A running choice of the engine below: says its id."""

    def __init__(self, engine: "SmallEngine", request: GenerationRequest) -> None:
        self._engine, self._request = engine, request
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    async def chunks(self) -> AsyncGenerator[TextChunk]:
        await asyncio.sleep(0)
        self._engine.running -= 1
        if self._request.id == "bad":
            raise ApiError(500, "it failed")
        yield TextChunk(text=self._request.id, tokens=(), cached_tokens=0, finish="stop")


class SmallEngine:
    """Has one place, and refuses the attempts in `refused` because others have it."""

    def __init__(self, refused: tuple[int, ...] = ()) -> None:
        self._refused, self._attempts = refused, 0
        self.running = 0
        self.started: list[Place] = []

    def start(self, request: GenerationRequest) -> Place:
        self._attempts += 1
        if self._attempts in self._refused or self.running:
            raise ApiError(429, "full")
        self.running += 1
        self.started.append(Place(self, request))
        return self.started[-1]


def collect(engine: SmallEngine, ids: str, parallel: int = 4) -> list[tuple[int, str]]:
    async def run() -> list[tuple[int, str]]:
        requests = [GenerationRequest(id=name, prompt=(1,)) for name in ids.split()]
        choices = Choices(requests, engine.start, parallel, lambda: 0)  # type: ignore[arg-type]
        async with aclosing(choices.chunks()) as chunks:
            return [(index, chunk.text) async for index, chunk in chunks]

    return asyncio.run(run())


def test_choices_take_turns_where_the_engine_has_one_place() -> None:
    assert collect(SmallEngine(), "a b c") == [(0, "a"), (1, "b"), (2, "c")]


def test_a_choice_waits_while_others_have_the_place() -> None:
    assert collect(SmallEngine(refused=(3, 4, 5)), "a b c") == [(0, "a"), (1, "b"), (2, "c")]


def test_a_full_engine_refuses_the_request() -> None:
    with pytest.raises(ApiError, match="full"):
        collect(SmallEngine(refused=(1,)), "a b")


def test_a_failed_choice_ends_the_request_and_no_other_is_started() -> None:
    engine = SmallEngine()
    with pytest.raises(ApiError, match="it failed"):
        collect(engine, "a bad c d")
    assert len(engine.started) == 2
    assert engine.started[-1].is_cancelled
