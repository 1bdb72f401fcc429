"""What every plugin promises, whatever its kind: a docstring, options that can be bound, a name of its own."""

import ast
import functools
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from eyechart import settings
from eyechart.conformance.findings import Broken, Finding, attempt
from eyechart.conformance.variations import varied
from eyechart.errors import EyechartError
from eyechart.registry import Bound, Entry, Kind, aliases, bind, entries
from eyechart.signatures import names_in

_RETURNS: dict[Kind, tuple[str, ...]] = {
    "encoders": ("Encoder", "Derived"),
    "datasets": ("Dataset",),
    "tasks": ("Iterator[Measure]",),
}
# Run in a fresh interpreter: what a listing of everything leaves imported.
_LISTING = """
import json, sys
from eyechart import registry, settings
with settings.using(plugins=tuple(sys.argv[1:])):
    for kind in registry.KINDS:
        registry.entries(kind)
print(json.dumps([str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""


def check_entry(entry: Entry, spec: str) -> list[Finding]:
    """Look at an entry as its source describes it; only `binding` needs the registry to know it."""
    return [
        attempt("name", partial(_name, entry)),
        attempt("docstring", partial(_docstring, entry)),
        attempt("signature", partial(_signature, entry)),
        attempt("binding", partial(_binding, entry, spec)),
        attempt("listing", partial(_listing, entry)),
    ]


def _name(entry: Entry) -> str:
    if entry.kind == "encoders" and entry.name in aliases():
        raise Broken(
            f"{entry.name} is a friendly name in encoders/aliases.toml, which goes first; rename the function."
        )
    known = entries(entry.kind)  # raises, and names both files, where a name is taken
    if entry.name not in known:
        raise Broken(f"{entry.name} is not among the {entry.kind}; give its file with --plugin.")
    return f"no other of the {len(known)} {entry.kind} is called {entry.name}"


def _docstring(entry: Entry) -> str:
    first = entry.function.doc.partition("\n")[0]
    if not first:
        raise Broken(f"{entry.name} has no docstring; its first line is what `eyechart list` shows.")
    return first


def _signature(entry: Entry) -> str:
    """Options after a `*`; before it, a task's case, or what stands after the colon of other specs."""
    arguments = _arguments(entry)
    before = [*arguments.posonlyargs, *arguments.args]
    if arguments.vararg or arguments.kwarg:
        raise Broken(f"{entry.name} takes *args or **kwargs; name every option after a `*`, so that specs can bind it.")
    if entry.kind == "tasks":
        if len(before) != 1 or entry.function.argument is not None:  # the registry takes anything but a Case for one
            raise Broken(
                f"the task {entry.name} must begin `def {entry.name}(case: Case, *, ...)`, options after the `*`."
            )
    elif len(before) > 1 or not all(names_in(_annotation(one)) & {"str", "FilePath"} for one in before):
        names = ", ".join(one.arg for one in before)
        raise Broken(
            f"{entry.name} takes ({names}) by position; only one text, annotated str or FilePath, may stand before the "
            "`*`: what follows the colon in a spec. Options go after it."
        )
    if not any(word in entry.function.returns for word in _RETURNS[entry.kind]):
        wanted = " or ".join(_RETURNS[entry.kind])
        raise Broken(f"{entry.name} says it returns {entry.function.returns or 'nothing'}; it must say {wanted}.")
    return f"options by keyword, with literal defaults: {', '.join(o.name for o in entry.function.options) or 'none'}"


def _arguments(entry: Entry) -> ast.arguments:
    definition = ast.parse(entry.function.source).body[0]
    assert isinstance(definition, ast.FunctionDef)  # the registry lists nothing else
    return definition.args


def _annotation(parameter: ast.arg) -> ast.expr | None:
    """Give an annotation; one in quotes is read too."""
    if isinstance(parameter.annotation, ast.Constant) and isinstance(parameter.annotation.value, str):
        return ast.parse(parameter.annotation.value, mode="eval").body
    return parameter.annotation


def _binding(entry: Entry, spec: str) -> str:
    if entry.function.argument_required and spec == entry.name:
        raise Broken(
            f"{entry.name} needs its {entry.function.argument} after a colon; state a small case of it in the file, "
            f'SAMPLES = {{"{entry.name}": "{entry.name}:..."}}, so that it can be tried.'
        )
    once = bind(entry.kind, spec)
    _refuse_other(once, bind(entry.kind, once.text))
    for _, texts in varied(once, spec):
        for text in texts[:1]:
            _refuse_other(bind(entry.kind, text), bind(entry.kind, bind(entry.kind, text).text))
    return f"{once.text} binds to itself"


def _refuse_other(once: Bound, twice: Bound) -> None:
    if (once.text, once.options) != (twice.text, twice.options):
        raise Broken(
            f"{once.text} binds to {twice.text}; write defaults as their annotation has them (tuples, no lists; 1.0 "
            "for a float)."
        )


def _listing(entry: Entry) -> str:
    if str(entry.path) in _imported(settings.active().plugins):
        raise Broken(f"listing plugins imported {entry.path}; the registry must only read its source.")
    return "it is listed without being imported"


@functools.lru_cache(maxsize=16)
def _imported(plugins: tuple[Path, ...]) -> frozenset[str]:
    """Give the files of all modules that a listing imports in a fresh interpreter."""
    command = [sys.executable, "-c", _LISTING, *map(str, plugins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EyechartError(f"plugins cannot be listed: {reason}")
    return frozenset(json.loads(done.stdout))
