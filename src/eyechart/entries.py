"""The folder is the registry: `encoders/pixels.py` defines the encoder `pixels`. Listing imports nothing.

Names come from the folders `encoders`, `datasets`, `tasks`, from entry points `eyechart.<folder>` of installed
packages, and from `--plugin FILE`; signatures, defaults and docstrings are read from the source text.
"""

import dataclasses
import functools
import importlib
import importlib.util
import logging
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, cast

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.files import digest, sha256_of
from eyechart.libraries import torchvision_needed
from eyechart.signatures import Function, functions

log = logging.getLogger("eyechart")
Kind = Literal["encoders", "datasets", "tasks"]
KINDS: tuple[Kind, ...] = ("encoders", "datasets", "tasks")
_PACKAGE = Path(__file__).parent
_RETURNS: dict[str, Kind] = {
    "Encoder": "encoders",
    "Derived": "encoders",
    "Dataset": "datasets",
    "Measure": "tasks",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A name a user can type, as its source text describes it."""

    kind: Kind
    name: str
    module: str  # dotted, or empty for a plugin file
    path: Path
    function: Function
    constants: dict[str, Any]
    source_hash: str = ""  # of a plugin file: editing it makes new results. Packages have versions instead.
    value: Callable[..., Any] | None = None  # a plain Python object

    def load(self) -> Callable[..., Any]:
        """Import the plugin and give its function."""
        if self.value is not None:
            return self.value
        with torchvision_needed():
            module = importlib.import_module(self.module) if self.module else _import_file(self.path)
        return getattr(module, self.function.name)


def entries(kind: Kind) -> dict[str, Entry]:
    """Give every name of a kind, in order, with what its source says. Nothing is imported."""
    # The content is part of the question, so that a plugin file edited in a running notebook is read again.
    return _entries(
        kind, tuple((path, sha256_of(path) if path.is_file() else "") for path in settings.active().plugins)
    )


@functools.lru_cache(maxsize=64)
def _entries(kind: Kind, plugins: tuple[tuple[Path, str], ...]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in (*_packaged(kind), *_installed(kind), *(e for path, _ in plugins for e in plugin_entries(path))):
        if entry.kind != kind:
            continue
        if entry.name in found:
            raise EyechartError(
                f"two {kind} are called {entry.name!r}: {found[entry.name].path} and {entry.path}. Rename one."
            )
        found[entry.name] = entry
    return dict(sorted(found.items()))


def _packaged(kind: Kind) -> Iterable[Entry]:
    for path in sorted((_PACKAGE / kind).glob("[!_]*.py")):
        found, constants = functions(path)
        if path.stem not in found:
            raise EyechartError(f"{path} must define a function called {path.stem}.")
        yield Entry(kind, path.stem, f"eyechart.{kind}.{path.stem}", path, found[path.stem], constants)


def _installed(kind: Kind) -> Iterable[Entry]:
    for point in entry_points(group=f"eyechart.{kind}"):
        path = _located(point.module)
        found, constants = functions(path) if path else ({}, {})
        if path is None or point.attr not in found:
            log.warning("the entry point %s of %s leads nowhere (%s), so it is left out", point.name, kind, point.value)
            continue
        version = point.dist.version if point.dist else ""
        marked = digest(version, sha256_of(path))  # an upgraded package makes new results
        yield Entry(kind, point.name, point.module, path, found[point.attr], constants, marked)


def _located(module: str) -> Path | None:
    """Find a module's file without importing the packages above it."""
    top, *below = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    for name in below:
        inside = path.parent / name
        path = inside / "__init__.py" if (inside / "__init__.py").exists() else inside.with_suffix(".py")
    return path if path.exists() else None


def plugin_entries(path: Path) -> tuple[Entry, ...]:
    """Give the encoders, data sets and tasks of one file: its public functions, told apart by what they return."""
    if not path.is_file():
        raise EyechartError(f"there is no plugin file {path}; --plugin takes the path of a Python file.")
    found, constants = functions(path, made=set(_RETURNS))
    source_hash = sha256_of(path)
    listed = tuple(
        Entry(_kind(function), name, "", path, function, constants, source_hash) for name, function in found.items()
    )
    if not listed:
        raise EyechartError(
            f"{path} has no plugin: a public function that says it returns Encoder, Derived, Dataset or "
            "Iterator[Measure]."
        )
    return listed


def _kind(function: Function) -> Kind:
    return next(_RETURNS[word] for word in function.words if word in _RETURNS)


def _import_file(path: Path) -> Any:
    name = f"eyechart_plugin_{path.stem}_{sha256_of(path)[:12]}"
    if name not in sys.modules:
        spec = cast(ModuleSpec, importlib.util.spec_from_file_location(name, path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)  # pyright: ignore[reportOptionalMemberAccess]
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


@functools.cache
def alias_tables() -> dict[str, dict[str, Any]]:
    """Give the friendly names of encoders, each with what the file says of it."""
    with (_PACKAGE / "encoders" / "aliases.toml").open("rb") as file:
        return tomllib.load(file)


def aliases() -> dict[str, str]:
    """Give the friendly names of encoders, each with the spec it stands for."""
    return {name: table["spec"] for name, table in alias_tables().items()}
