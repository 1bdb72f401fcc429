"""Conditions on encoders, as `--where "latency_ms < 20 and parameters < 1e8"` states them. Nothing is executed."""

import ast
import contextlib
import dataclasses
import math
import operator
from collections.abc import Callable, Collection

from eyechart.errors import EyechartError, did_you_mean
from eyechart.metrics.names import metrics

_COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """A comparison of something measured with a number."""

    name: str
    sign: str
    number: float
    typed: str  # the number as it was written

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.typed}"

    def holds(self, value: float) -> bool:
        """Say whether a value meets it.

        >>> Condition(name="latency_ms", sign="<", number=20.0, typed="2e1").holds(12.5)
        True
        """
        return next(compare for sign, compare in _COMPARE.values() if sign == self.sign)(value, self.number)


def parse(text: str, names: Collection[str]) -> tuple[Condition, ...]:
    """Give the conditions of a text: comparisons of a name with a number, joined by `and`.

    >>> [str(one) for one in parse("parameters<86567656 and 0.50 <= accuracy", ["parameters", "accuracy"])]
    ['parameters < 86567656', 'accuracy >= 0.50']

    Raises:
        EyechartError: it is something else, or a name is not among `names`.
    """
    text = text.strip()
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text) from error
    joined = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
    found = []
    for one in joined:
        if not isinstance(one, ast.Compare):
            raise _unreadable(text)
        sides = [one.left, *one.comparators]
        for left, sign, right in zip(sides, one.ops, sides[1:], strict=False):  # 5 < x < 9 is two conditions
            found.append(_condition(left, sign, right, text))
    for condition in found:
        if condition.name not in names:
            raise EyechartError(_unknown(condition.name, names))
        _check_range(condition)
    return tuple(found)


def _check_range(condition: Condition) -> None:
    """Refuse a number above all values of the metric: 50 for what is shown as 50 %."""
    known = metrics().get(condition.name, {})
    least, most = known.get("range", (-math.inf, math.inf))
    if condition.number > most:
        kind = "a fraction" if known.get("unit") == "fraction" else "a number"
        raise EyechartError(f"where: {condition.name} is {kind} between {least:g} and {most:g}; got {condition.typed}.")


def _condition(left: ast.expr, sign: ast.cmpop, right: ast.expr, text: str) -> Condition:
    written = _COMPARE[type(sign)][0] if type(sign) in _COMPARE else None
    if written and isinstance(left, ast.Name) and (number := _number(right)) is not None:
        return Condition(name=left.id, sign=written, number=number, typed=_typed(text, right))
    if written and isinstance(right, ast.Name) and (number := _number(left)) is not None:
        return Condition(name=right.id, sign=_TURNED[written], number=number, typed=_typed(text, left))
    raise _unreadable(text)


def _typed(text: str, node: ast.expr) -> str:
    return " ".join((ast.get_source_segment(text, node) or "").split())


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        below = _number(node.operand)
        return None if below is None else -below
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        with contextlib.suppress(OverflowError):
            return float(node.value)
    return None


def _unreadable(text: str) -> EyechartError:
    return EyechartError(
        f"where: cannot read {text!r}; write comparisons of a name with a number, joined by `and`, such as "
        '"latency_ms < 20 and parameters < 1e8".'
    )


def _unknown(name: str, names: Collection[str]) -> str:
    hint = did_you_mean(name, sorted(names))
    return f"where: nothing is called {name!r}.{hint} `eyechart list metrics` names all that can be compared."
