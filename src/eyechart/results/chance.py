"""A task's `chance`: a number, or arithmetic on the sizes of a data set. Nothing in it is executed."""

import ast
import operator
from collections.abc import Callable, Mapping

from eyechart.errors import EyechartError
from eyechart.specs import Spec, parse
from eyechart.types import Dataset, Record

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


def task_of(record: Record) -> Spec:
    """Give a record's task taken apart; of one that is an object, and called anything, only what it is called."""
    text = str(record.bound.get("task", record.task))
    try:
        return parse(text)
    except EyechartError:
        return Spec(text, None, {})


def stated(record: Record) -> str | float | None:
    """Give the chance that a record's task states; None where options make something else relevant than a class."""
    options = task_of(record).options
    if options.get("same") == "group" or options.get("tolerance"):
        return None
    return record.headline.get("chance")


def chance_of(stated: str | float | None, names: Mapping[str, int | float]) -> float | None:
    """Give a chance; None where none is stated, or where the data set has no split, or too little, for it."""
    if stated is None:
        return None
    wanted = {node.id for node in ast.walk(ast.parse(str(stated), mode="eval")) if isinstance(node, ast.Name)}
    if not wanted - {"harmonic"} <= names.keys():
        return None
    try:
        return float(_value(ast.parse(str(stated), mode="eval").body, names))
    except ZeroDivisionError:
        return None


def _value(node: ast.expr, names: Mapping[str, int | float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name) if name in names:
            return float(names[name])
        case ast.Call(func=ast.Name(id="harmonic"), args=[argument], keywords=[]):
            return harmonic(_value(argument, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case _:
            known = ", ".join(sorted(names))
            raise EyechartError(
                f"chance may use numbers, + - * /, harmonic() and the names {known}; got {ast.unparse(node)}."
            )


def harmonic(n: float) -> float:
    """Give 1 + 1/2 + ... + 1/n, of which the mean precision of a random order is made.

    >>> round(harmonic(4), 4)
    2.0833
    """
    return sum(1 / one for one in range(1, round(n) + 1))
