"""How an indicator is computed: arithmetic over measurement ids, and nothing else.

A formula comes from a data file, so it is parsed into Python's own syntax tree and only four operations, a sign,
numbers and names are walked; there is no `eval`, no call, no attribute and no power (`9**9**9` would never end).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bedplate.core.errors import UsageError

_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_EXPECTED = "numbers, measurement ids, + - * / and parentheses, like `kv_throughput_ratio - 1`"


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]
    """Measurement ids in order of first use."""

    def evaluate(self, values: Mapping[str, float]) -> float | None:
        """The result; None where it divides by zero.

        Raises:
            KeyError: `values` lacks one of `names`.
        """
        try:
            return _evaluate(self.tree, values)
        except ZeroDivisionError:
            return None


def parse_formula(text: str) -> Formula:
    """Read a formula.

    Raises:
        UsageError: It is not arithmetic over names.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError("the formula cannot be read", seen=text, expected=_EXPECTED) from error
    names: dict[str, None] = {}
    _check(tree, text, names)
    if not names:
        raise UsageError("the formula uses no measurement", seen=text, expected=_EXPECTED)
    return Formula(text=text.strip(), tree=tree, names=tuple(names))


def _check(node: ast.expr, text: str, names: dict[str, None]) -> None:
    match node:
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            _check(left, text, names)
            _check(right, text, names)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, text, names)
        case ast.Name(id=name):
            names[name] = None
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            pass
        case _:
            raise UsageError(
                "the formula contains more than arithmetic", seen=f"{ast.unparse(node)} in {text}", expected=_EXPECTED
            )


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp(left=left, op=operation, right=right):
            return _OPERATIONS[type(operation)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, values)
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as number):
            return float(number)
    raise AssertionError(f"{type(node).__name__} passed the check of the formula")
