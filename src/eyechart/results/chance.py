"""A task's `chance`: a number, or arithmetic on the sizes of a data set. Nothing in it is executed."""

import ast
import operator
from collections.abc import Callable, Mapping

from eyechart.errors import EyechartError
from eyechart.types import Dataset

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def sizes(data: Dataset) -> dict[str, int]:
    """Give what an expression may name: `classes`, and of each split how many images it has."""
    counts = {split: len(images) for split, images in data.items()}
    return counts | {"classes": len(next(iter(data.values())).classes)}


def chance(expression: str | float, names: Mapping[str, int | float]) -> float:
    """Give the value of an expression such as "1 / classes": numbers, names, + - * / and parentheses.

    >>> chance("(test / classes - 1) / (test - 1)", {"classes": 5, "test": 21})
    0.16

    Raises:
        EyechartError: it is no such expression, or it names what is not there.
    """
    try:
        return float(_value(ast.parse(str(expression), mode="eval").body, names))
    except (SyntaxError, ZeroDivisionError) as error:
        raise EyechartError(
            f'chance {expression!r} cannot be computed ({error}); write it like "1 / classes".'
        ) from error


def _value(node: ast.expr, names: Mapping[str, int | float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name) if name in names:
            return float(names[name])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case _:
            known = ", ".join(sorted(names))
            raise EyechartError(f"chance may use numbers, + - * / and the names {known}; got {ast.unparse(node)}.")
