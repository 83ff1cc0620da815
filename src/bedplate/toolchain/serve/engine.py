"""The built-in engine: one scheduler thread, continuous batching, chunked prefill.

Each turn of the loop: let in what fits, prefill some chunks of the oldest unfinished prompt, then decode one token of
every running row together (Yu et al. 2022, Orca; Agrawal et al. 2023, chunked prefill). A prompt is prefilled alone and
decoding rows are padded to a fixed number, see `decoder.py` for why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from bedplate.core.blocks import KVBlockStore, KVNamespace
from bedplate.core.errors import QueueFullError, UnavailableError
from bedplate.core.generation import (
    FinishReason,
    GeneratedToken,
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
    ) -> None:
        self.settings = settings or EngineSettings()
        dtype = model.model.norm.weight.dtype
        self.context_tokens = fitting_context(model.config, dtype, self.settings)
        self.vocab_size = model.config.vocab_size
        self._slots = KVSlots(SlotShape.of(model.config, dtype, self.settings.max_batch, self.context_tokens))
        self._decoder = SlotDecoder(model, self._slots, self.settings.chunk_tokens, self.settings.max_batch)
        self._memory = None
        if store is not None:
            assert namespace is not None and namespace.block_tokens == self.settings.chunk_tokens
            self._memory = PrefixMemory(store, namespace, self._slots)
        self._lock = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}
        self._counters = GenerationStatistics()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="bedplate-engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> Iterator[GeneratedToken]:
        """See `GenerationEngine.submit`."""
        check_request(request, self.context_tokens, self.vocab_size)
        sequence = Sequence(request)
        with self._lock:
            if self._is_closing:
                raise UnavailableError("the engine is shutting down", next_step="try again when it has been restarted")
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
                    self._end_the_unwanted()
                    self._let_in()
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

    def _wait_for_work(self) -> bool:
        with self._lock:
            while not (self._waiting or self._running or self._is_closing):
                self._lock.wait()
            return not self._is_closing

    def _end_the_unwanted(self) -> None:
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

    def _let_in(self) -> None:
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
            try:
                self._prefill_chunk(oldest)
            except Exception as error:
                _log.exception("prefill of request %s failed", oldest.request.id)
                self._fail([oldest], error)
                return

    def _prefill_chunk(self, sequence: Sequence) -> None:
        prompt, chunk = sequence.request.prompt, self.settings.chunk_tokens
        assert sequence.slot is not None
        if self._memory is not None and sequence.keys is None:
            sequence.keys = self._memory.keys(prompt, sequence.request.tenant)
            sequence.cached_tokens = self._memory.load(sequence.keys, len(prompt), sequence.slot)
            sequence.num_prefilled = sequence.cached_tokens
        start = sequence.num_prefilled
        tokens = prompt[start : start + chunk]
        is_last = start + len(tokens) == len(prompt)
        logits_V = self._decoder.prefill(sequence.slot, start, tokens, want_logits=is_last)
        sequence.num_prefilled += len(tokens)
        if self._memory is not None and sequence.keys is not None and len(tokens) == chunk:
            self._memory.save(sequence.keys[: start // chunk + 1], sequence.slot)
        if logits_V is not None:
            self._count(prompt_tokens=len(prompt), cached_tokens=sequence.cached_tokens)
            self._advance(sequence, logits_V)

    def _decode(self) -> None:
        rows = {slot: sequence for slot, sequence in self._running.items() if sequence.is_prefilled}
        if not rows:
            return
        tokens = [rows[slot].generated[-1] if slot in rows else None for slot in range(self.settings.max_batch)]
        positions = [rows[slot].next_position if slot in rows else 0 for slot in range(self.settings.max_batch)]
        try:
            logits_MV = self._decoder.decode(tokens, positions)
            for slot, sequence in rows.items():
                self._advance(sequence, logits_MV[slot])
        except Exception as error:
            _log.exception("a decode step failed")
            self._fail([sequence for sequence in rows.values() if sequence.slot is not None], error)

    def _advance(self, sequence: Sequence, logits_V: Tensor) -> None:
        """Choose the next token; a sequence whose scores are not finite ends with an error, the others go on."""
        if not bool(torch.isfinite(logits_V.max())):
            self._fail([sequence], ValueError("the model's scores are not finite; its weights or its input are damaged"))
            return
        self._count(generated_tokens=1)
        if sequence.take(sequence.sampler.choose(logits_V)):
            self._leave(sequence)

    def _fail(self, sequences: list[Sequence], error: Exception) -> None:
        for sequence in sequences:
            sequence.end(FinishReason.ERROR, f"{type(error).__name__}: {error}")
            self._leave(sequence, poisoned=True)

    def _leave(self, sequence: Sequence, *, poisoned: bool = False) -> None:
        with self._lock:
            assert sequence.slot is not None
            del self._running[sequence.slot]
            self._slots.give_back(sequence.slot, poisoned=poisoned)
            sequence.slot = None
        self._count(finished=1)

    def _count(self, **added: int) -> None:
        with self._lock:
            totals = {name: getattr(self._counters, name) + number for name, number in added.items()}
            self._counters = replace(self._counters, **totals)
