"""Plain Python objects as plugins: an Encoder, a dict of Images, or a task function, used without being registered."""

import ast
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.registry import Bound, Entry, Kind, bind
from eyechart.signatures import Function, Option
from eyechart.types import Derived, Encoder, Images


def bound(kind: Kind, what: Any) -> Bound:
    """Bind a spec, or wrap a plain object so that it can stand where a bound spec does.

    Raises:
        EyechartError: the object is none of what this kind takes.
    """
    if isinstance(what, str):
        return bind(kind, what)
    if kind == "encoders" and isinstance(what, Encoder | Derived):
        return _constant(kind, what.key or f"encoder-{id(what):x}", what)
    if kind == "datasets" and isinstance(what, dict) and all(isinstance(images, Images) for images in what.values()):
        key = digest({split: images.key for split, images in what.items()})
        return _constant(kind, f"data-{key[:8]}", what)
    if kind == "tasks" and callable(what):
        return _task(what)
    wanted = {
        "encoders": "a spec or an Encoder",
        "datasets": "a spec or a dict of Images",
        "tasks": "a spec or a function(case, *, ...)",
    }[kind]
    raise EyechartError(f"among the {kind} there must be {wanted}; got {type(what).__name__}.")


def _constant(kind: Kind, name: str, value: Any) -> Bound:
    function = Function(name, "", "", None, False, False, (), "")
    return Bound(Entry(kind, name, "", Path(), function, {}, value=lambda: value), None, {})


def _task(what: Callable[..., Any]) -> Bound:
    """A task's options are its keyword-only parameters; functools.partial sets some of them."""
    given = what.keywords if isinstance(what, functools.partial) else {}
    function = what.func if isinstance(what, functools.partial) else what
    parameters = inspect.signature(function).parameters.values()
    options = tuple(
        Option(p.name, p.default, _annotation(p.annotation)) for p in parameters if p.kind is p.KEYWORD_ONLY
    )
    source = inspect.getsource(function)
    described = Function(
        function.__name__, inspect.getdoc(function) or "", "Measure", None, False, False, options, source
    )
    constants = {"HEADLINE": getattr(inspect.getmodule(function), "HEADLINE", {})}
    entry = Entry("tasks", function.__name__, "", Path(), described, constants, digest(source), function)
    return Bound(entry, None, {option.name: given.get(option.name, option.default) for option in options})


def _annotation(annotation: Any) -> ast.expr | None:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return ast.parse(text, mode="eval").body if text and text != "_empty" else None
