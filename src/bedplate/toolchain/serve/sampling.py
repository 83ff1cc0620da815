"""From scores to tokens: greedy, or temperature and top-p with a generator of the request's own.

A seeded request draws from its own generator, so its tokens do not depend on what else runs. Probabilities are computed in
fp64 from scores whose maximum is 0, so that no temperature, however small,
overflows: the most likely token always keeps some.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bedplate.core.generation import SamplingSettings


class Sampler:
    """Chooses the tokens of one request."""

    def __init__(self, settings: SamplingSettings) -> None:
        self._settings = settings
        self._generator = torch.Generator()
        if settings.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(settings.seed % 2**63)

    def choose(self, logits_V: Tensor) -> int:
        """The next token; the first of equals when greedy."""
        if self._settings.temperature == 0:
            return int(torch.argmax(logits_V))
        logits_V = logits_V.double()
        probability_V = torch.softmax((logits_V - logits_V.max()) / self._settings.temperature, dim=-1)
        if self._settings.top_p < 1:
            probability_V = _nucleus(probability_V, self._settings.top_p)
        return int(torch.multinomial(probability_V, 1, generator=self._generator))


def _nucleus(probability_V: Tensor, top_p: float) -> Tensor:
    """Zero outside the smallest set of most likely tokens that holds `top_p` (Holtzman et al. 2020); at least one stays."""
    ordered_V, index_V = probability_V.sort(descending=True, stable=True)
    outside_V = ordered_V.cumsum(-1) - ordered_V >= top_p
    outside_V[0] = False
    return torch.zeros_like(probability_V).scatter_(0, index_V, ordered_V.masked_fill_(outside_V, 0.0))
