"""What the scheduler needs of a model: the seam between what runs next and how a step is computed.

`SlotDecoder` is the implementation for Llama-like decoders on a CPU. An implementation promises that the results of a row
follow from its own sequence alone, to the bit, regardless of what else runs.

Shape suffixes: C rows of a prefill chunk, D hidden, M rows of a decode step, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class ModelRunner(Protocol):
    """Computes prefill chunks and decode steps over KV slots. One thread; called under `torch.inference_mode()`."""

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Tensor:
        """Compute one chunk of one sequence, whose earlier positions are in the slot.

        Args:
            slot: The sequence's slot.
            start: Position of the first token, a multiple of the chunk.
            tokens: 1 to C tokens.

        Returns:
            hidden_CD; rows behind the last token hold nothing of use.
        """
        ...

    def logits(self, hidden_CD: Tensor, row: int) -> Tensor:
        """logits_V of one row of a chunk, as they choose the first generated token."""
        ...

    def chunk_logits(self, hidden_CD: Tensor) -> Tensor:
        """logits_CV of all rows of a chunk."""
        ...

    def decode(self, tokens: Sequence[int | None], positions: Sequence[int]) -> Tensor:
        """Compute one token for each row; row r works in slot r.

        Args:
            tokens: M tokens, None where the slot has nothing to decode.
            positions: Position of each token; ignored where the token is None.

        Returns:
            logits_MV; rows without a token hold nothing of use.
        """
        ...
