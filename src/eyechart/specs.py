"""Specs are text that reads like a call: `plugin[:argument][("text", option=literal, ...)]`. Nothing is executed."""

import ast
import cmath
import dataclasses
import json
import re
from typing import Any

from eyechart.errors import EyechartError

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A spec taken apart: `timm:resnet50(pool="mean")` is timm, resnet50, {"pool": "mean"}."""

    name: str
    argument: str | None
    options: dict[str, Any]
    texts: tuple[str, ...] = ()  # quoted texts before the options: `reduce("hog", pca=128)`


def parse(text: str) -> Spec:
    """Take a spec apart.

    The options are the last balanced parenthesis group that reads as a call with keywords, so `folder:/photos (2024)`
    is a path. An argument that would be misread can be quoted. Right after a name, quoted texts may come first.

    >>> parse('knn(k=(1, 5))').options
    {'k': (1, 5)}
    >>> parse('folder:/photos (2024)').argument
    '/photos (2024)'
    >>> parse('reduce("hog(cells=8)", pca=64)').texts
    ('hog(cells=8)',)
    """
    head, call = _taken_apart(text.strip())
    options = {} if call is None else _literals(call, text)
    texts = () if call is None else tuple(str(ast.literal_eval(value)) for value in call.args)
    name, colon, argument = head.partition(":")
    if not colon:
        return Spec(head.strip(), None, options, texts)
    return Spec(name.strip(), _unquoted(argument), options)


def _taken_apart(text: str) -> tuple[str, ast.Call | None]:
    if not text.endswith(")"):
        return text, None
    for start in range(len(text) - 1, -1, -1):
        if text[start] == "(" and (call := _call(text[start:])) is not None:
            head = text[:start].rstrip()
            if not call.args or is_name(head):  # of anything but a name, ("a") may be part of a path
                return head, call
    return text, None


def _call(group: str) -> ast.Call | None:
    """Read `("a", b=2)` as texts and keywords; None where it is anything else, such as the `(2024)` of a path."""
    try:
        # The outer parentheses must close after the call: a # inside a text would otherwise hide the rest.
        call = ast.parse(f"(f{group})", mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    if not all(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in call.args):
        return None
    return call if all(keyword.arg for keyword in call.keywords) else None


def _literals(call: ast.Call, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        name = str(keyword.arg)
        if name in options:
            raise EyechartError(f"in {text!r}, {name} is given twice; leave one.")
        try:
            options[name] = _frozen(ast.literal_eval(keyword.value))
        except (ValueError, TypeError) as error:
            got = ast.unparse(keyword.value)
            raise EyechartError(
                f"in {text!r}, {name} must be a literal such as 5, 0.1, True, (1, 5) or a quoted text; got {got}. "
                f'Write {name}="{got}" if a text is meant.'
            ) from error
        if not _is_finite(options[name]):  # written out it would be inf, which is no literal
            raise EyechartError(f"in {text!r}, {name} must be finite; got {options[name]}.")
    return options


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {str(key): _frozen(item) for key, item in value.items()}
    return value


def _is_finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, float | complex) or cmath.isfinite(value)


def _unquoted(argument: str) -> str:
    argument = argument.strip()
    if len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'":
        try:
            return str(ast.literal_eval(argument))
        except (ValueError, SyntaxError):
            return argument
    return argument


def written(name: str, argument: str | None, options: dict[str, Any]) -> str:
    """Put a spec together so that it parses back to the same."""
    head = name if argument is None else f"{name}:{_quoted(argument)}"
    if not options:
        return head
    return f"{head}({', '.join(f'{key}={literal(value)}' for key, value in options.items())})"


def _quoted(argument: str) -> str:
    misread = argument != argument.strip() or argument[:1] in "\"'" or _taken_apart(argument)[0] != argument
    return json.dumps(argument, ensure_ascii=False) if misread or not argument else argument


def literal(value: Any) -> str:
    """Write a literal the one way eyechart writes it: double quotes, tuples, no spaces that matter.

    >>> literal(("a", 1.0, (2,)))
    '("a", 1.0, (2,))'
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def is_name(text: str) -> bool:
    """Say whether a text can be a plugin's name."""
    return _NAME.fullmatch(text) is not None
