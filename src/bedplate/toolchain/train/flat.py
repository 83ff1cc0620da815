"""All weights of a model in one flat buffer, all gradients in another, and one slice of both for each rank.

Problem: replicas hold equal weights, so every rank would run the optimiser on all of them, keep both moments of all of
them, and a checkpoint would be split parameter by parameter. Idea (ZeRO stage 1, Rajbhandari et al. 2020): lay the
parameters end to end, matrices first, and give each rank an equal contiguous slice. A rank keeps fp32 master weights
and moments of its slice only; that slice is also its share of a checkpoint. Gradients are added up in fp32 whatever
their own precision. Cost: 4 bytes per parameter for the gradients, 2 or 4 for the weights, 12 / world size for the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bedplate.toolchain.train.slices import slice_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each parameter is in the flat buffers: a function of the model alone; `bounds` cuts it by world size."""

    places: Mapping[str, tuple[int, int]]
    """First element of each parameter, and the one after its last, by name."""
    num_matrix_elements: int
    """Elements before this one belong to matrices, which decay; those after it to norms, which do not."""
    num_elements: int

    @classmethod
    def of(cls, model: nn.Module) -> Layout:
        """Matrices in the model's order, then vectors; tied parameters once."""
        named = sorted(model.named_parameters(), key=lambda item: item[1].ndim < 2)
        places, position = {}, 0
        for name, parameter in named:
            places[name] = (position, position + parameter.numel())
            position += parameter.numel()
        matrices = sum(parameter.numel() for _, parameter in named if parameter.ndim >= 2)
        return cls(places=places, num_matrix_elements=matrices, num_elements=position)

    def bounds(self, rank: int, world_size: int) -> tuple[int, int]:
        """First element of the rank's slice, and the one after its last."""
        return slice_bounds(self.num_elements, rank, world_size)


class FlatParameters:
    """The model's parameters and gradients as views of two flat buffers.

    After construction the model's parameters are views of `weights`, which are not filled yet. During `backward` the
    gradient of each parameter is added to `gradients` (fp32) as soon as it is complete, and dropped.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, device: torch.device | None = None) -> None:
        """Take over the parameters of `model`, which may be on the meta device; buffers on `device`, None: host memory."""
        self.layout = Layout.of(model)
        self.weights = torch.empty(self.layout.num_elements, dtype=dtype, device=device)
        self.gradients = torch.zeros(self.layout.num_elements, dtype=torch.float32, device=device)
        self._gradient_views: dict[int, Tensor] = {}
        for name, parameter in list(model.named_parameters()):
            self._take_over(model, name, parameter)

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the values of all parameters, by name, into `weights`."""
        for name, (start, end) in self.layout.places.items():
            self.weights[start:end].copy_(weights[name].flatten())

    def gradient_of(self, parameter: Tensor) -> Tensor:
        """The fp32 gradient buffer of a parameter, in its shape."""
        return self._gradient_views[id(parameter)]

    def _take_over(self, model: nn.Module, name: str, parameter: nn.Parameter) -> None:
        place = slice(*self.layout.places[name])
        ours = nn.Parameter(self.weights[place].view(parameter.shape))
        gradient = self.gradients[place].view(parameter.shape)
        for module in model.modules():
            for key, value in module._parameters.items():
                if value is parameter:
                    module._parameters[key] = ours
        self._gradient_views[id(ours)] = gradient
        move = functools.partial(_move_gradient, into=gradient)
        ours.register_post_accumulate_grad_hook(move)  # type: ignore[no-untyped-call]


def _move_gradient(parameter: Tensor, *, into: Tensor) -> None:
    assert parameter.grad is not None
    into.add_(parameter.grad)
    parameter.grad = None
