"""uvicorn with an orderly end: while running answers finish, new requests get an answer too, and it is 503.

uvicorn itself closes its sockets first, so that clients and load balancers see a refused connection and cannot distinguish
a server that restarts from one that is gone.
"""

from __future__ import annotations

import asyncio
import time

import uvicorn
from fastapi import FastAPI

from bedplate.service.openai.shutdown import Shutdown

_CUT_S = 0.5
"""What clients get to read the error that ends their stream."""
_POLL_S = 0.05


class DrainingServer(uvicorn.Server):  # type: ignore[misc]  # uvicorn is optional and thus untyped
    """Serves `application` until `should_exit` is set, then drains.

    Args:
        application: What is served.
        shutdown: Tells the application that it ends.
        drain_s: Seconds that running answers get to finish.
    """

    def __init__(self, application: FastAPI, shutdown: Shutdown, drain_s: float) -> None:
        super().__init__(
            uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )
        self._shutdown, self._drain_s = shutdown, drain_s

    async def main_loop(self) -> None:
        """Serve; then refuse what is new, wait for what runs, and cut the rest. The sockets are still open at the end."""
        await super().main_loop()
        self._shutdown.begin()
        await self._wait_answers(self._drain_s)
        self._shutdown.cut()
        await self._wait_answers(_CUT_S)

    async def _wait_answers(self, limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        while self.server_state.tasks and not self.force_exit and time.monotonic() < deadline_s:
            await asyncio.sleep(_POLL_S)
