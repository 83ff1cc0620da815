"""One request on its way through the engine, and the stream its caller reads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from bedplate.core.blocks import BlockKey
from bedplate.core.generation import FinishReason, GeneratedToken, GenerationRequest, TokenLogprobs
from bedplate.toolchain.serve.sampling import Sampler


class Sequence:
    """State of one request. The scheduler thread owns it; `cancelled` and `outbox` may be touched from others."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.sampler = Sampler(request.sampling)
        self.stop_tokens = frozenset(request.stop_tokens)
        self.deadline_s = None if request.deadline_s is None else time.monotonic() + request.deadline_s
        self.cancelled = threading.Event()
        self.outbox: queue.SimpleQueue[GeneratedToken] = queue.SimpleQueue()
        self.slot: int | None = None
        self.keys: list[BlockKey] | None = None
        """Keys of the prompt's chunks; None until the long memory was consulted."""
        self.num_prefilled = 0
        """Prompt tokens whose KV is in the slot."""
        self.cached_tokens = 0
        self.generated: list[int] = []
        self.prompt_logprobs: list[TokenLogprobs | None] | None = None if request.prompt_logprobs is None else [None]
        """Of the prompt tokens computed so far, until the first step of the stream takes them along."""

    @property
    def is_prefilled(self) -> bool:
        """Whether all of the prompt is in the slot."""
        return self.num_prefilled == len(self.request.prompt)

    @property
    def next_position(self) -> int:
        """Position of the token that was chosen last and is to be decoded next."""
        return len(self.request.prompt) + len(self.generated) - 1

    def why_ended(self, now_s: float) -> FinishReason | None:
        """Cancelled or too late; None while it may continue."""
        if self.cancelled.is_set():
            return FinishReason.CANCELLED
        if self.deadline_s is not None and now_s >= self.deadline_s:
            return FinishReason.DEADLINE
        return None

    def take(self, token: int, logprobs: TokenLogprobs | None = None) -> bool:
        """Add a chosen token and send it to the caller; True when it was the last one. Stop tokens are not passed on."""
        if token in self.stop_tokens:
            self._send(None, FinishReason.STOP, logprobs=logprobs)
            return True
        self.generated.append(token)
        is_last = len(self.generated) == self.request.max_new_tokens
        self._send(token, FinishReason.LENGTH if is_last else None, logprobs=logprobs)
        return is_last

    def end(self, finish: FinishReason, message: str = "") -> None:
        """Tell the caller that no further token comes."""
        self._send(None, finish, message=message)

    def _send(
        self, token: int | None, finish: FinishReason | None, *, message: str = "", logprobs: TokenLogprobs | None = None
    ) -> None:
        prompt_logprobs, self.prompt_logprobs = self.prompt_logprobs, None
        self.outbox.put(
            GeneratedToken(
                token=token,
                finish=finish,
                cached_tokens=self.cached_tokens,
                message=message,
                logprobs=logprobs,
                prompt_logprobs=tuple(prompt_logprobs) if prompt_logprobs is not None and self.is_prefilled else None,
            )
        )


class TokenStream:
    """What `submit` returns: an iterator over one request's tokens; closing it early cancels the request."""

    def __init__(self, sequence: Sequence, wake: Callable[[], None]) -> None:
        self._sequence, self._wake = sequence, wake
        self._is_done = False

    def __iter__(self) -> TokenStream:
        return self

    def __next__(self) -> GeneratedToken:
        if self._is_done:
            raise StopIteration
        token = self._sequence.outbox.get()
        self._is_done = token.finish is not None
        return token

    def close(self) -> None:
        """Cancel what is left; calling it again, or after the end, does nothing."""
        if not self._is_done:
            self._sequence.cancelled.set()
            self._wake()
