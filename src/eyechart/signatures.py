"""Signatures read from source text: what a plugin's options are and may be, without importing it."""

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError
from eyechart.specs import literal


@dataclasses.dataclass(frozen=True)
class Option:
    """A keyword-only parameter: its name, default, and annotation (parsed, never evaluated)."""

    name: str
    default: Any
    annotation: ast.expr | None


@dataclasses.dataclass(frozen=True)
class Function:
    """A function as its source text states it."""

    name: str
    doc: str
    returns: str
    argument: str | None  # the first positional parameter that is no Case: what stands after the colon
    argument_required: bool
    argument_is_path: bool
    options: tuple[Option, ...]
    source: str

    @property
    def words(self) -> list[str]:
        """The names in what it says it returns, in order."""
        return re.findall(r"\w+", self.returns)


def functions(path: Path, *, made: set[str] | None = None) -> tuple[dict[str, Function], dict[str, Any]]:
    """Give the public functions of a file and its literal constants in capitals (such as HEADLINE).

    With `made` only functions that say they return one of these names; what else a file holds is its own affair.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise EyechartError(f"{path} is no Python that can be read: {error}.") from error
    found = {
        node.name: _function(node, path, text)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and (made is None or (node.returns is not None and made & set(re.findall(r"\w+", ast.unparse(node.returns)))))
    }
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
        and _is_literal(node.value)
    }
    return found, constants


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _function(node: ast.FunctionDef, path: Path, text: str) -> Function:
    positional = [a for a in [*node.args.posonlyargs, *node.args.args] if _name(a.annotation) != "Case"]
    options = []
    for parameter, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is None or not _is_literal(default):
            raise EyechartError(
                f"{path}: option {parameter.arg} of {node.name} needs a literal default, because defaults are part of "
                "a result's identity."
            )
        options.append(Option(parameter.arg, ast.literal_eval(default), parameter.annotation))
    return Function(
        name=node.name,
        doc=ast.get_docstring(node) or "",
        returns=ast.unparse(node.returns).strip("'\"") if node.returns else "",
        argument=positional[0].arg if positional else None,
        argument_required=bool(positional) and not node.args.defaults,
        argument_is_path=bool(positional) and "FilePath" in names_in(positional[0].annotation),
        options=tuple(options),
        source=ast.get_source_segment(text, node) or "",
    )


def _name(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation).strip("'\"").rpartition(".")[2] if annotation else ""


def conform(option: Option, value: Any, owner: str) -> Any:
    """Give the value as the annotation wants it: 1 becomes 1.0 for a float, 5 becomes (5,) for a tuple.

    Raises:
        EyechartError: the annotation does not allow the value.
    """
    if option.annotation is None or literal(value) == literal(option.default):
        return value
    fitted = _fit(option.annotation, value)
    if fitted is _NO:
        allowed = _allowed(option.annotation)
        raise EyechartError(f"{owner}: {option.name} must be {allowed}; got {literal(value)}.")
    return fitted


def is_tuple(annotation: ast.expr | None) -> bool:
    """Say whether an option takes any number of values: `tuple[int, ...]`."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[*_, ast.Constant(value=last)])):
            return last is ...
        case _:
            return False


_NO = object()
_DISTANCES = "default cosine euclidean sqeuclidean l1 hellinger chi-square emd emd-legacy hamming"
_CHOICES = {"DistanceName": tuple(_DISTANCES.split())}
_NAMED = (ast.Name, ast.Attribute)
_SIMPLE = {
    "int": int,
    "str": str,
    "bool": bool,
    "EncoderSpec": str,
    "DataSpec": str,
    "FilePath": str,
    "dict": dict,
}


def _fit(annotation: ast.expr, value: Any) -> Any:  # noqa: PLR0911, a table of cases
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            fitted = _fit(left, value)
            return fitted if fitted is not _NO else _fit(right, value)
        case ast.Constant(value=None):
            return value if value is None else _NO
        case ast.Name(id="float"):
            real = isinstance(value, int | float) and not isinstance(value, bool)
            return float(value) if real else _NO
        case ast.Name(id=name) if name in _CHOICES:
            return value if value in _CHOICES[name] else _NO
        case ast.Name(id=name) if name in _SIMPLE:
            return value if type(value) is _SIMPLE[name] else _NO
        case ast.Attribute(attr=name):  # eyechart.FilePath is FilePath
            return _fit(ast.Name(name), value)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            allowed = ast.literal_eval(inner)
            each = allowed if isinstance(allowed, tuple) else (allowed,)
            # Of the same type: True == 1 and 8.0 == 8, but they would be written, and so keyed, in another way.
            return value if any(type(one) is type(value) and one == value for one in each) else _NO
        case ast.Subscript(value=ast.Name(id="dict")):
            return value if isinstance(value, dict) else _NO
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=elements)):
            return _fit_tuple(elements, value)
        case _:
            return value


def _fit_tuple(elements: list[ast.expr], value: Any) -> Any:
    many = isinstance(elements[-1], ast.Constant) and elements[-1].value is ...
    items = value if isinstance(value, tuple) else (value,)
    if not many and len(items) != len(elements):
        return _NO
    wanted = [elements[0]] * len(items) if many else elements
    fitted = tuple(_fit(element, item) for element, item in zip(wanted, items, strict=True))
    return _NO if _NO in fitted or (many and not items) else fitted


def _allowed(annotation: ast.expr) -> str:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{_allowed(left)} or {_allowed(right)}"
        case ast.Constant(value=None):
            return "None"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            return f"one of {_listed(inner)}"
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=elements)):
            return _several_allowed(elements)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            words = {
                "int": "a whole number",
                "float": "a number",
                "str": "a quoted text",
                "bool": "True or False",
                "dict": 'options such as {"depth": 2}',
                "FilePath": "a quoted path",
                **{name: f"one of {', '.join(map(literal, allowed))}" for name, allowed in _CHOICES.items()},
            }
            return words.get(name, "a quoted spec")
        case _:
            return ast.unparse(annotation)


def _listed(inner: ast.expr) -> str:
    allowed = ast.literal_eval(inner)
    return ", ".join(map(literal, allowed if isinstance(allowed, tuple) else (allowed,)))


_PLURALS = {
    "int": ("whole numbers", "(1, 5)"),
    "float": ("numbers", "(0.1, 1.0)"),
    "str": ("quoted texts", '("a", "b")'),
    "EncoderSpec": ("quoted specs", '("pixels", "hog")'),
    "DataSpec": ("quoted specs", '("digits", "cifar10")'),
}


def _several_allowed(elements: list[ast.expr]) -> str:
    match elements:
        case [ast.Subscript(value=ast.Name(id="Literal"), slice=inner), ast.Constant()]:
            return f"one or more of {_listed(inner)}"
        case [ast.Name(id=name) | ast.Attribute(attr=name), ast.Constant()]:
            plural, example = _PLURALS.get(name, ("values", "(1, 5)"))
            return f"one or more {plural} such as {example}"
        case [ast.Name(id=name), *_] if name in _PLURALS and len(set(map(ast.unparse, elements))) == 1:
            return f"{len(elements)} {_PLURALS[name][0]} in parentheses"
        case _:
            return f"values in parentheses: {', '.join(map(_allowed, elements))}"


def names_in(annotation: ast.expr | None) -> set[str]:
    """Give the names an annotation mentions, those after a dot included."""
    nodes = ast.walk(annotation) if annotation else ()
    return {node.id if isinstance(node, ast.Name) else node.attr for node in nodes if isinstance(node, _NAMED)}
