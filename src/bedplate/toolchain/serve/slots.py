"""Where keys and values of running sequences live: one arena, one slot of equal size for each sequence.

Equal slots let one attention call serve all rows of a decode step (their distance in memory is constant), and make
admission simple: a sequence runs when a slot is free. The arena is anonymous memory that the system hands out when a
page is first written, so a slot costs what was really used of it. Pages start as zeros: attention multiplies masked
positions by 0, and 0 times what was never written must be 0. One more slot than asked for takes what padding rows write.

Shape suffixes as in `toolchain/models/llama.py`, and L layers, S slots, P positions of a slot, C tokens of a block.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from bedplate.core.errors import IntegrityError
from bedplate.toolchain.models.config import LlamaConfig

POSITION_STEP = 512
"""Slots are a multiple of this long, and attention reads them in multiples of it: torch's CPU kernel walks over keys in
steps of 512, so what lies behind a row's last token is masked without changing how its own part is summed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotShape:
    """Size of the arena."""

    num_layers: int
    num_slots: int
    num_kv_heads: int
    slot_tokens: int
    head_size: int
    dtype: torch.dtype

    @classmethod
    def of(cls, config: LlamaConfig, dtype: torch.dtype, num_slots: int, context_tokens: int) -> SlotShape:
        """Slots that hold `context_tokens` each."""
        return cls(
            num_layers=config.num_layers,
            num_slots=num_slots,
            num_kv_heads=config.num_kv_heads,
            slot_tokens=-(-context_tokens // POSITION_STEP) * POSITION_STEP,
            head_size=config.head_size,
            dtype=dtype,
        )

    @property
    def token_bytes(self) -> int:
        """Bytes of keys and values of one token."""
        return self.num_layers * 2 * self.num_kv_heads * self.head_size * self.dtype.itemsize

    @property
    def arena_bytes(self) -> int:
        """Address space of the arena; memory is taken as it is written."""
        return (self.num_slots + 1) * self.slot_tokens * self.token_bytes


class KVSlots:
    """The arena. One thread writes it."""

    def __init__(self, shape: SlotShape) -> None:
        self.shape = shape
        self._memory = mmap.mmap(-1, shape.arena_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        sizes = (shape.num_layers, 2, shape.num_slots + 1, shape.num_kv_heads, shape.slot_tokens, shape.head_size)
        self.arena_L2SGPK = torch.frombuffer(self._memory, dtype=shape.dtype).view(sizes)
        self._free = list(range(shape.num_slots))

    @property
    def num_free(self) -> int:
        """Slots that no sequence has."""
        return len(self._free)

    def take(self) -> int:
        """The lowest free slot, so that the taken ones are contiguous; IndexError when there is none."""
        slot = min(self._free)
        self._free.remove(slot)
        return slot

    def release(self, slot: int, *, poisoned: bool = False) -> None:
        """Free a slot. A poisoned one (it may hold NaN, which masking cannot hide) is overwritten with zeros."""
        if poisoned:
            self.arena_L2SGPK[:, :, slot].zero_()
        self._free.append(slot)

    def check_integrity(self, taken: Collection[int]) -> None:
        """Check the free list against the slots that sequences have.

        Args:
            taken: Those slots.

        Raises:
            IntegrityError: A slot is lost, free twice, or both free and taken.
        """
        held = sorted([*self._free, *taken])
        if held != list(range(self.shape.num_slots)):
            raise IntegrityError(
                "KV slots are not conserved",
                seen=f"free {sorted(self._free)}, taken {sorted(taken)}",
                expected=f"each of {self.shape.num_slots} slots once",
            )

    def reclaim_all(self) -> None:
        """Free every slot and return its memory to the system: it reads as zeros. No sequence may have one."""
        self._memory.madvise(mmap.MADV_DONTNEED)
        self._free = list(range(self.shape.num_slots))

    def block_bytes(self, tokens: int) -> int:
        """Size of the KV of `tokens` tokens."""
        return tokens * self.shape.token_bytes

    def read_block(self, slot: int, start: int, tokens: int) -> memoryview:
        """A copy of the KV of `tokens` positions from `start` on, in the order L, 2, G, C, K."""
        block = self.arena_L2SGPK[:, :, slot, :, start : start + tokens].contiguous()
        return block.view(torch.uint8).reshape(-1).numpy().data

    def write_block(self, slot: int, start: int, tokens: int, block_bytes: Tensor) -> None:
        """The inverse of `read_block`; `block_bytes` is uint8, flat."""
        shape = self.shape
        block_L2GCK = block_bytes.view(shape.dtype).view(shape.num_layers, 2, shape.num_kv_heads, tokens, shape.head_size)
        self.arena_L2SGPK[:, :, slot, :, start : start + tokens].copy_(block_L2GCK)
