"""Other values of a plugin's options: what its key must tell apart."""

import ast
from collections.abc import Iterator
from typing import Any

from eyechart.registry import Bound
from eyechart.signatures import Option
from eyechart.specs import parse, written


def varied(bound: Bound, spec: str) -> Iterator[tuple[str, list[str]]]:
    """Give each option of a spec with specs that differ in it alone, likely ones first.

    Options that the spec states are held: they are what makes it small, or possible at all. Values of free text,
    and what could stand for None, cannot be guessed: for those the list is empty.
    """
    held = parse(spec).options
    for option in bound.entry.function.options:
        value = bound.options[option.name]
        others = [] if option.name in held else _others(option, value)
        texts = [written(bound.name, bound.argument, bound.options | {option.name: other}) for other in others]
        yield option.name, texts


def _others(option: Option, value: Any) -> list[Any]:
    choices = _choices(option.annotation)
    either = isinstance(option.annotation, ast.BinOp)  # numbers, or a word that stands for some
    if isinstance(value, tuple) and not (either and choices):
        first = _others(option, value[0]) if value else []
        return [(other, *value[1:]) for other in first]
    if choices:
        return [choice for choice in choices if choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [other for other in (value + 1, value * 2, value // 2) if other != value]
    if isinstance(value, float):
        return [value * 1.5, value / 1.5] if value else [0.5]
    return []


def _choices(annotation: ast.expr | None) -> tuple[Any, ...]:
    """Give what a Literal in the annotation allows."""
    for node in ast.walk(annotation) if annotation else ():
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            allowed = ast.literal_eval(node.slice)
            return allowed if isinstance(allowed, tuple) else (allowed,)
    return ()
