"""The built-in engine: one scheduler thread, continuous batching, chunked prefill.

Each turn of the loop: admit what fits, prefill some chunks of the oldest unfinished prompt, then decode one token of every
running row together (Yu et al. 2022, Orca; Agrawal et al. 2023, chunked prefill). A prompt is prefilled alone and
decoding rows are padded to a fixed number, see `decoder.py` for why.

This file decides what runs; `steps.py` computes what was decided, and `decoder.py` is the model behind it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace

import torch

from bedplate.core.blocks import KVBlockStore, KVNamespace
from bedplate.core.errors import IntegrityError, QueueFullError, UnavailableError
from bedplate.core.generation import (
    FinishReason,
    GenerationRequest,
    GenerationStatistics,
)
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.admission import check_request, fitting_context
from bedplate.toolchain.serve.decoder import SlotDecoder
from bedplate.toolchain.serve.prefix import PrefixMemory
from bedplate.toolchain.serve.sequence import Sequence, TokenStream
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.slots import KVSlots, SlotShape
from bedplate.toolchain.serve.steps import Outcome, Steps
from bedplate.toolchain.serve.threads import StepThreads

_log = logging.getLogger(__name__)


class BuiltInEngine:
    """A `core.generation.GenerationEngine` on torch.

    Args:
        model: The weights, in the dtype to serve in.
        settings: See `EngineSettings`.
        store: Long memory for prompt KV; None computes every prompt.
        namespace: What the KV blocks depend on; needed with a store.

    Raises:
        ResourcesError: `kv_memory` does not hold `max_batch` sequences of the shortest useful length.
    """

    def __init__(
        self,
        model: Llama,
        settings: EngineSettings | None = None,
        store: KVBlockStore | None = None,
        namespace: KVNamespace | None = None,
        threads: StepThreads | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        dtype = model.model.norm.weight.dtype
        self.context_tokens = fitting_context(model.config, dtype, self.settings)
        self.vocab_size = model.config.vocab_size
        self._slots = KVSlots(SlotShape.of(model.config, dtype, self.settings.max_batch, self.context_tokens))
        chunk_tokens, max_batch = self.settings.chunk_tokens, self.settings.max_batch
        memory = None
        if store is not None:
            assert namespace is not None and namespace.block_tokens == chunk_tokens
            memory = PrefixMemory(store, namespace, self._slots)
        runner = SlotDecoder(model, self._slots, chunk_tokens, max_batch, threads)
        self._steps = Steps(runner, max_batch, chunk_tokens, memory)
        self._lock = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}
        self._counters = GenerationStatistics()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="bedplate-engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> TokenStream:
        """See `GenerationEngine.submit`."""
        check_request(request, self.context_tokens, self.vocab_size)
        sequence = Sequence(request)
        with self._lock:
            if self._is_closing:
                raise UnavailableError("the engine is shutting down", next_step="try again after a restart")
            if len(self._waiting) >= self.settings.queue_size:
                raise QueueFullError(
                    "the engine's queue is full",
                    seen=f"{len(self._waiting)} requests waiting",
                    expected=f"fewer than {self.settings.queue_size}",
                    next_step="try again in a second, or start the server with a longer queue",
                )
            self._waiting.append(sequence)
            self._lock.notify()
        return TokenStream(sequence, self._wake)

    def cancel(self, request_id: str) -> None:
        """See `GenerationEngine.cancel`."""
        with self._lock:
            for sequence in (*self._waiting, *self._running.values()):
                if sequence.request.id == request_id:
                    sequence.cancelled.set()
            self._lock.notify()

    def statistics(self) -> GenerationStatistics:
        """Counters; KV blocks are chunks of running sequences."""
        with self._lock:
            chunk = self.settings.chunk_tokens
            used = [sequence.num_prefilled + len(sequence.generated) for sequence in self._running.values()]
            return replace(
                self._counters,
                is_open=not self._is_closing,
                running=len(self._running),
                queued=len(self._waiting),
                kv_blocks_used=sum(-(-tokens // chunk) for tokens in used),
                kv_blocks_total=self.settings.max_batch * self._slots.shape.slot_tokens // chunk,
            )

    def close(self) -> None:
        """Cancel what runs, end the scheduler thread. Calling it twice is fine."""
        with self._lock:
            self._is_closing = True
            self._lock.notify()
        self._thread.join()

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify()

    def _work(self) -> None:
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._drop_expired()
                    self._admit()
                    self._prefill()
                    self._decode()
        finally:
            self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            self._is_closing = True
            for sequence in (*self._waiting, *self._running.values()):
                sequence.end(FinishReason.CANCELLED, "the engine was shut down")
            self._waiting.clear()
            self._running.clear()

    def check_integrity(self) -> None:
        """Hold the engine's state to its invariants; O(slots). Also done whenever the engine becomes idle.

        Raises:
            IntegrityError: A KV slot was lost or given away twice: a bug in the engine.
        """
        with self._lock:
            self._slots.check_integrity(self._running)

    def _wait_for_work(self) -> bool:
        with self._lock:
            if not self._running:
                self._check_idle()
            while not (self._waiting or self._running or self._is_closing):
                self._lock.wait()
            return not self._is_closing

    def _check_idle(self) -> None:
        """A slot that was lost would be lost for good: it is reported, and all are taken back."""
        try:
            self._slots.check_integrity(self._running)
        except IntegrityError:
            _log.exception("the engine's state is inconsistent; reclaiming its slots")
            self._slots.reclaim_all()

    def _drop_expired(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            for sequence in waiting:
                if (reason := sequence.why_ended(now_s)) is not None:
                    sequence.end(reason)
                    self._count(finished=1)
                else:
                    self._waiting.append(sequence)
        for sequence in list(self._running.values()):
            if (reason := sequence.why_ended(now_s)) is not None:
                sequence.end(reason)
                self._leave(sequence)

    def _admit(self) -> None:
        with self._lock:
            while self._waiting and self._slots.num_free:
                sequence = self._waiting.popleft()
                sequence.slot = self._slots.take()
                self._running[sequence.slot] = sequence

    def _prefill(self) -> None:
        oldest = next((sequence for sequence in self._running.values() if not sequence.is_prefilled), None)
        for _ in range(self.settings.chunks_per_step):
            if oldest is None or oldest.is_prefilled or oldest.cancelled.is_set():
                return
            outcome = self._steps.prefill(oldest)
            if outcome is None:
                continue
            if outcome.error is None:
                self._count(prompt_tokens=len(oldest.request.prompt), cached_tokens=oldest.cached_tokens)
            self._apply(oldest, outcome)
            return

    def _decode(self) -> None:
        rows = {slot: sequence for slot, sequence in self._running.items() if sequence.is_prefilled}
        if rows:
            for slot, outcome in self._steps.decode(rows).items():
                self._apply(rows[slot], outcome)

    def _apply(self, sequence: Sequence, outcome: Outcome) -> None:
        """Pass a step's outcome on to its caller; a sequence that has ended releases its slot."""
        if outcome.error is not None:
            sequence.end(FinishReason.ERROR, f"{type(outcome.error).__name__}: {outcome.error}")
            self._leave(sequence, poisoned=True)
        elif outcome.token is None:
            sequence.end(FinishReason.LENGTH)
            self._leave(sequence)
        else:
            self._count(generated_tokens=1)
            if sequence.take(outcome.token, outcome.logprobs):
                self._leave(sequence)

    def _leave(self, sequence: Sequence, *, poisoned: bool = False) -> None:
        with self._lock:
            assert sequence.slot is not None
            del self._running[sequence.slot]
            self._slots.release(sequence.slot, poisoned=poisoned)
            sequence.slot = None
        self._count(finished=1)

    def _count(self, **added: int) -> None:
        with self._lock:
            totals = {name: getattr(self._counters, name) + number for name, number in added.items()}
            self._counters = replace(self._counters, **totals)
