"""Matrix products whose right answer is known, so that a fast wrong one does not pass.

Both factors hold only -1, 0 and 1, half of them 0. Every partial sum is then an integer small enough for each
precision (sums of up to 4,096 terms keep below 256, the end of bf16's exact integers, by eight standard deviations),
whatever the order of addition: the product is exact, and its row and column sums are known beforehand in O(size^2).
A single wrong element shows in both. Source: Huang & Abraham 1984, algorithm-based fault tolerance.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bedplate.core.errors import UnavailableError

PRECISIONS = ("fp32", "bf16", "int8")
MAX_SIZE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactProduct:
    """A square product, ready to run again and again."""

    precision: str
    operations: float
    """Multiplications and additions of one run: 2 size^3."""
    multiply: Callable[[], Any]
    """Runs it once; gives the product in the library's own type."""
    to_integers: Callable[[Any], NDArray[np.int64]]
    row_sums: NDArray[np.int64]
    column_sums: NDArray[np.int64]

    def is_right(self, product: Any) -> bool:
        """Whether `product` has the sums that it must have. O(size^2)."""
        found = self.to_integers(product)
        return bool(np.array_equal(found.sum(1), self.row_sums) and np.array_equal(found.sum(0), self.column_sums))


@functools.lru_cache(maxsize=len(PRECISIONS))
def exact_product(precision: str, size: int, seed: int = 0, device: str = "cpu") -> ExactProduct:
    """A product of two seeded (size, size) matrices in `precision`; by torch, or by numpy where torch is not installed.

    `device` is the torch device that multiplies. Kept for the next call, since a slow slot is measured again.

    Raises:
        UnavailableError: This precision cannot be run here; the message gives the reason.
    """
    assert size <= MAX_SIZE, "larger sums would not be exact in bf16"
    generator = np.random.default_rng(seed)
    values = np.array([-1, 0, 0, 1], dtype=np.int8)
    left, right = (values[generator.integers(0, 4, (size, size))] for _ in range(2))
    multiply, to_integers = (
        _numpy_product(precision, left, right) if not has_torch() else _torch_product(precision, left, right, device)
    )
    wide_left, wide_right = left.astype(np.int64), right.astype(np.int64)
    return ExactProduct(
        precision=precision,
        operations=2.0 * size**3,
        multiply=multiply,
        to_integers=to_integers,
        row_sums=wide_left @ wide_right.sum(1),
        column_sums=wide_left.sum(0) @ wide_right,
    )


def has_torch() -> bool:
    """Whether torch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


Multiply = tuple[Callable[[], Any], Callable[[Any], NDArray[np.int64]]]


def _numpy_product(precision: str, left: NDArray[np.int8], right: NDArray[np.int8]) -> Multiply:
    if precision != "fp32":
        raise UnavailableError(f"{precision} products need torch", next_step="pip install 'bedplate[train]'")
    a, b = left.astype(np.float32), right.astype(np.float32)
    return lambda: a @ b, lambda product: product.astype(np.int64)


def _torch_product(precision: str, left: NDArray[np.int8], right: NDArray[np.int8], device: str) -> Multiply:
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}[precision]
    a, b = (torch.from_numpy(factor).to(device, dtype) for factor in (left, right))
    if precision != "int8":
        return lambda: _waited(a @ b), lambda product: product.cpu().to(torch.int64).numpy()
    # The one product of torch that keeps int8 operands and int32 sums, on CPUs by oneDNN's integer kernels.
    integer_product = getattr(torch, "_int_mm", None)
    if integer_product is None:
        raise UnavailableError("this torch has no integer product", seen=torch.__version__, expected="torch 2.6 or newer")
    return lambda: _waited(integer_product(a, b)), lambda product: product.cpu().to(torch.int64).numpy()


def _waited(product: Any) -> Any:
    """The product once it is done: a device computes while its program goes on."""
    if product.device.type != "cpu":
        float(product[0, 0])
    return product
