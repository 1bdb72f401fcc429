"""Plain Python objects as plugins: an Encoder, a dict of Images, or a task function, used without being registered."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.registry import Bound, Entry, Kind, bind
from eyechart.signatures import Function, Option
from eyechart.specs import written
from eyechart.types import Derived, Encoder, Images


def bound(kind: Kind, what: Any) -> Bound:
    """Bind a spec, or wrap a plain object so that it can stand where a bound spec does.

    Raises:
        EyechartError: the object is none of what this kind takes.
    """
    if isinstance(what, str):
        return bind(kind, what)
    if kind == "datasets" and isinstance(what, Path):
        return bind(kind, written("folder", str(what), {}))
    if kind == "encoders" and isinstance(what, Encoder | Derived):
        return _constant(kind, what.key or f"encoder-{id(what):x}", what)
    if kind == "datasets" and isinstance(what, dict) and all(isinstance(images, Images) for images in what.values()):
        key = digest({split: images.key for split, images in what.items()})
        return _constant(kind, f"data-{key[:8]}", what)
    if kind == "tasks" and callable(what):
        return _task(what)
    wanted = {
        "encoders": "a spec or an Encoder",
        "datasets": "a spec, a path or a dict of Images",
        "tasks": "a spec or a function(case, *, ...)",
    }[kind]
    raise EyechartError(f"among the {kind} there must be {wanted}; got {type(what).__name__}.")


def _constant(kind: Kind, name: str, value: Any) -> Bound:
    function = Function(name, "", "", None, False, False, (), "")
    return Bound(Entry(kind, name, "", Path(), function, {}, value=lambda: value), None, {})


def _task(what: Callable[..., Any]) -> Bound:
    """A task's options are its keyword-only parameters; functools.partial sets some of them."""
    function, given = (what.func, what.keywords) if isinstance(what, functools.partial) else (what, {})
    name = getattr(function, "__name__", type(function).__name__)
    captured = getattr(getattr(function, "__code__", None), "co_freevars", ())
    if captured:
        raise EyechartError(
            f"the task {name} uses {', '.join(captured)} of the function around it, which no identity can hold; make "
            "it a keyword-only option and set it with functools.partial."
        )
    source = _source(function, name)
    written = _annotations(source)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    options = tuple(Option(p.name, p.default, written.get(p.name)) for p in parameters)
    if isinstance(what, functools.partial) and what.args:
        raise EyechartError(f"{name}: a task's options are given by keyword; got {len(what.args)} by position.")
    for option in given.keys() - {p.name for p in parameters}:
        known = ", ".join(p.name for p in parameters) or "none"
        raise EyechartError(f"{name} has no option {option!r}. Its options are {known}.")
    for p in parameters:
        if p.default is p.empty and p.name not in given:
            raise EyechartError(f"{name}: option {p.name} has no default; set it with functools.partial.")
    described = Function(name, inspect.getdoc(function) or "", "Measure", None, False, False, options, source)
    module = inspect.getmodule(function)
    stated = {"HEADLINE": {}, "ALSO": (), "MACHINE": False}
    constants = {name: getattr(module, name, without) for name, without in stated.items()}
    entry = Entry("tasks", name, "", Path(), described, constants, digest(source), function)
    return Bound(entry, None, {option.name: given.get(option.name, option.default) for option in options})


def _source(function: Callable[..., Any], name: str) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise EyechartError(
            f"the source of the task {name} cannot be read, though it is part of a result's identity; write the "
            "function in a file or a notebook cell."
        ) from error


def _annotations(source: str) -> dict[str, ast.expr | None]:
    """The annotations as they are written: at run time DataSpec is nothing but str."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda's line need not be whole
        return {}
    first = next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)
    return {} if first is None else {parameter.arg: parameter.annotation for parameter in first.args.kwonlyargs}
