"""All choices of one HTTP request: `n` for each prompt, some of them in the engine at a time.

A request with hundreds of prompts would fill the engine's queue alone, so at most `parallel` of its choices are there at
once; the next one is submitted when one has ended. Many such requests would fill it too and have others refused, so only the
first choice of each takes any place; the rest are submitted while fewer than `parallel` of all requests' choices wait. The
first ones are submitted before the answer begins, so that what the engine refuses gets a status of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from bedplate.core.generation import GenerationRequest
from bedplate.service.openai.errors import ApiError
from bedplate.service.openai.generation import Generation, TextChunk

_RETRY_S = 0.05


class Choices:
    """Runs the choices of a request.

    Args:
        requests: One per choice, in order of their index.
        start: Submits a choice to the engine; raises ApiError where the engine refuses it.
        parallel: Most choices in the engine at a time, at least 1.
        num_queued: How many choices of all requests wait in the engine.

    Raises:
        ApiError: The engine takes none of them now, or refuses one for good.
    """

    def __init__(
        self,
        requests: Sequence[GenerationRequest],
        start: Callable[[GenerationRequest], Generation],
        parallel: int,
        num_queued: Callable[[], int],
    ) -> None:
        self._start, self._parallel, self._num_queued = start, parallel, num_queued
        self._waiting = deque(enumerate(requests))
        self._running: dict[int, Generation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._items: asyncio.Queue[tuple[int, TextChunk | Exception | None]] = asyncio.Queue()
        """Chunks of all choices; None: the choice has ended."""
        try:
            while self._waiting and len(self._running) < parallel and self._start_next():
                pass
        except ApiError:
            self.cancel()
            raise

    def _start_next(self) -> bool:
        """Submit the next choice; False where the engine has some of ours, and is full or has enough waiting."""
        if self._running and self._num_queued() >= self._parallel:
            return False
        index, request = self._waiting[0]
        try:
            self._running[index] = self._start(request)
        except ApiError as error:
            if error.status_code == 429 and self._running:
                return False
            raise
        self._waiting.popleft()
        return True

    def cancel(self) -> None:
        """End what is left; harmless once all have ended."""
        self._waiting.clear()
        for generation in self._running.values():
            generation.cancel()

    async def chunks(self) -> AsyncGenerator[tuple[int, TextChunk]]:
        """Index and chunk, as they come; the choices are interleaved.

        Raises:
            ApiError: A choice failed; the others are cancelled.
        """
        for index in self._running:
            self._follow(index)
        try:
            while self._running:
                index, item = await self._items.get()
                if isinstance(item, TextChunk):
                    yield index, item
                elif item is not None:
                    raise item
                else:
                    del self._running[index]
                    await self._submit_more()
        finally:
            self.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _follow(self, index: int) -> None:
        task = asyncio.create_task(self._forward(index, self._running[index]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, index: int, generation: Generation) -> None:
        try:
            async with aclosing(generation.chunks()) as chunks:
                async for chunk in chunks:
                    self._items.put_nowait((index, chunk))
        except Exception as error:  # raised again where the answer is built
            self._items.put_nowait((index, error))
        else:
            self._items.put_nowait((index, None))

    async def _submit_more(self) -> None:
        """Where the engine is full of others' requests and has none of ours, wait for a place."""
        while self._waiting and len(self._running) < self._parallel:
            index = self._waiting[0][0]
            try:
                if not self._start_next():
                    return
            except ApiError as error:
                if error.status_code != 429:
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                self._follow(index)
