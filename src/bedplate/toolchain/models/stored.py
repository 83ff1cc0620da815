"""A model folder judged by its headers: config, weights and whether they fit, in milliseconds and without torch.

Everything that loads, trains, compresses or fetches a model checks this first, so a folder that cannot be loaded is refused
with the same words everywhere, and before minutes are spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import UsageError
from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.models.families import family_of, read_config_json
from bedplate.toolchain.models.quantization import Storage, storage_of
from bedplate.toolchain.models.weights import StoredTensor, stored_tensors

_PLAIN = ("F16", "BF16", "F32", "F64")
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """What the headers of a folder declare."""

    config: ModelConfig
    tensors: Mapping[str, StoredTensor]
    """By their names in the checkpoint; the head only where it is stored."""
    storage: Storage
    """How the matrices are stored."""

    @property
    def is_plain(self) -> bool:
        """Whether all weights are floating-point numbers, as training and compression need them."""
        return self.storage is Storage.PLAIN


def inspect_model(folder: Path) -> StoredModel:
    """Config and weights of a folder, checked against each other.

    Raises:
        NotFoundError: No config or no weights.
        UsageError: Another family, another quantisation, two sets of weights, or weights that do not fit the config.
        IntegrityError: A file is missing, damaged, or contradicts another.
    """
    data = read_config_json(folder)
    config, storage = family_of(data).read_config(data), storage_of(data)
    stored = StoredModel(config=config, tensors=stored_tensors(folder), storage=storage)
    if problems := list(_problems(stored)):
        more = f" and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
        raise UsageError(
            "the weights do not match config.json",
            seen="; ".join(problems[:_MAX_NAMED]) + more,
            next_step="fetch config.json and the weights from the same place",
        )
    return stored


def _problems(stored: StoredModel) -> Iterator[str]:
    if stored.config.num_layers > len(stored.tensors):  # of a damaged config, the names alone could fill the memory
        yield f"{len(stored.tensors)} tensors cannot be {stored.config.num_layers} layers"
        return
    expected = dict(_expected(stored))
    for name in expected:
        if name not in stored.tensors and not (stored.config.tie_embeddings and name.startswith("lm_head.")):
            yield f"no '{name}'"
    for name, tensor in stored.tensors.items():
        shape, dtypes = expected.get(name, ((), ()))
        if name not in expected:
            yield f"an unknown '{name}'"
        elif tensor.shape != shape:
            yield f"'{name}' is {list(tensor.shape)}, not {list(shape)}"
        elif tensor.dtype not in dtypes:
            yield f"'{name}' is stored as {tensor.dtype}, not {' or '.join(dtypes)}"


def _expected(stored: StoredModel) -> Iterator[tuple[str, tuple[tuple[int, ...], tuple[str, ...]]]]:
    """Name, and shape and possible types of each tensor."""
    for name, shape in stored.config.tensor_shapes().items():
        is_linear = len(shape) == 2 and name not in ("model.embed_tokens.weight", "lm_head.weight")
        if stored.storage is Storage.INT8 and len(shape) == 2:
            yield name, (shape, ("I8",))
            yield f"{name}_scale", ((shape[0], 1), _PLAIN)
        elif stored.storage is Storage.INT8_LINEAR and is_linear:
            yield f"{name}_packed", ((shape[0], -(-shape[1] // 4)), ("I32",))
            yield f"{name}_scale", ((shape[0], 1), _PLAIN)
            yield f"{name}_shape", ((2,), ("I64", "I32"))
        else:
            yield name, (shape, _PLAIN)
