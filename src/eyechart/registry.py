"""The folder is the registry: `encoders/pixels.py` defines the encoder `pixels`. Listing imports nothing.

Names come from the folders `encoders`, `datasets`, `tasks`, from entry points `eyechart.<folder>` of installed
packages, and from `--plugin FILE`; signatures, defaults and docstrings are read from the source text.
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, cast

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.files import sha256_of
from eyechart.signatures import Function, conform, functions, names_in
from eyechart.specs import Spec, parse, written

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
        module = importlib.import_module(self.module) if self.module else _import_file(self.path)
        return getattr(module, self.function.name)


@dataclasses.dataclass(frozen=True)
class Bound:
    """A spec with every default filled in. `text` binds to itself; `label` is what people read."""

    entry: Entry
    argument: str | None
    options: dict[str, Any]
    alias: str = ""

    @property
    def kind(self) -> Kind:
        """Which registry it is from."""
        return self.entry.kind

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.entry.name

    @property
    def text(self) -> str:
        """The full spec."""
        return written(self.name, self.argument, self.options)

    @property
    def label(self) -> str:
        """The spec without what is default: the alias, or the name and the options that were chosen."""
        defaults = {option.name: option.default for option in self.entry.function.options}
        kinds: dict[str, Kind | None] = {
            option.name: _nested_kind(names_in(option.annotation)) for option in self.entry.function.options
        }
        chosen = {
            name: _nested_label(kinds[name], value)
            for name, value in self.options.items()
            if value != defaults.get(name)
        }
        return self.alias or written(self.name, self.argument, chosen)

    def call(self) -> Any:
        """Import the plugin and call it with the bound options. Tasks take a Case first, so use `entry.load`."""
        arguments = () if self.argument is None else (self.argument,)
        return self.entry.load()(*arguments, **self.options)

    def nested(self) -> dict[Kind, tuple[str, ...]]:
        """Give the specs among the options, by kind."""
        found: dict[Kind, tuple[str, ...]] = {}
        for option in self.entry.function.options:
            kind = _nested_kind(names_in(option.annotation))
            value = self.options.get(option.name)
            if kind and value is not None:
                found[kind] = found.get(kind, ()) + (value if isinstance(value, tuple) else (value,))
        return found


def entries(kind: Kind) -> dict[str, Entry]:
    """Give every name of a kind, in order, with what its source says. Nothing is imported."""
    # The content is part of the question, so that a plugin file edited in a running notebook is read again.
    return _entries(
        kind, tuple((path, sha256_of(path) if path.is_file() else "") for path in settings.active().plugins)
    )


@functools.lru_cache(maxsize=64)
def _entries(kind: Kind, plugins: tuple[tuple[Path, str], ...]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in (
        *_packaged(kind),
        *_installed(kind),
        *(e for path, _ in plugins for e in plugin_entries(path)),
    ):
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
        found, constants = functions(path)
        if point.attr not in found:
            raise EyechartError(f"entry point {point.name} of {kind}: {path} has no function {point.attr}.")
        yield Entry(kind, point.name, point.module, path, found[point.attr], constants)


def _located(module: str) -> Path:
    """Find a module's file without importing the packages above it."""
    top, *below = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise EyechartError(f"the module {module} named by an entry point cannot be found; reinstall its package.")
    path = Path(spec.origin)
    for name in below:
        path = path.parent / name / "__init__.py" if path.name == "__init__.py" else path
        if not path.exists():
            path = path.parent.with_suffix(".py")
    return path


def plugin_entries(path: Path) -> tuple[Entry, ...]:
    """Give the encoders, data sets and tasks of one file: its public functions, told apart by what they return."""
    if not path.is_file():
        raise EyechartError(f"there is no plugin file {path}; --plugin takes the path of a Python file.")
    found, constants = functions(path)
    source_hash = sha256_of(path)
    listed = tuple(
        Entry(kind, name, "", path, function, constants, source_hash)
        for name, function in found.items()
        for word, kind in _RETURNS.items()
        if word in function.returns.replace("[", " ").replace("]", " ").replace(".", " ").split()
    )
    if not listed:
        raise EyechartError(
            f"{path} has no plugin: a public function that says it returns Encoder, Derived, Dataset or "
            "Iterator[Measure]."
        )
    return listed


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
def aliases() -> dict[str, dict[str, Any]]:
    """Give the friendly names of encoders, each with its spec and card."""
    with (_PACKAGE / "encoders" / "aliases.toml").open("rb") as file:
        return tomllib.load(file)


def bind(kind: Kind, text: str) -> Bound:
    """Fill in every default and check every option; nothing is imported.

    >>> bind("tasks", "knn(k=5)").label
    'knn(k=(5,))'

    Raises:
        EyechartError: no such name or option, or a value its annotation does not allow.
    """
    spec, alias = parse(text), ""
    if kind == "encoders" and spec.name in aliases() and spec.argument is None:
        base, given = parse(aliases()[spec.name]["spec"]), spec.options
        alias = written(spec.name, None, given)
        spec = Spec(base.name, base.argument, base.options | given)
    known = entries(kind)
    if spec.name not in known and kind == "datasets":
        spec = _as_folder(text, spec)
    if spec.name not in known:
        raise EyechartError(_unknown(kind, spec))
    entry = known[spec.name]
    _check_argument(entry, spec)
    return Bound(entry, spec.argument, _bound_options(entry, spec), alias)


def _as_folder(text: str, spec: Spec) -> Spec:
    """An existing path alone means `folder:`."""
    text = text.strip()
    if Path(text).expanduser().exists():
        return Spec("folder", text, {})
    head = spec.name if spec.argument is None else f"{spec.name}:{spec.argument}"
    if Path(head).expanduser().exists():
        return Spec("folder", head, spec.options)
    if "/" in spec.name or spec.name.startswith((".", "~")):
        raise EyechartError(f"there is no folder {head}; give the path of a folder of images, one folder per class.")
    return spec


def _unknown(kind: Kind, spec: Spec) -> str:
    known = [*entries(kind), *(aliases() if kind == "encoders" else ())]
    near = difflib.get_close_matches(spec.name, known, n=3)
    if kind == "encoders":
        near = _near_timm(spec.name, near)
    article = {"encoders": "encoder", "datasets": "data set", "tasks": "task"}[kind]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    path_hint = " and there is no such folder" if kind == "datasets" else ""
    return f"no {article} is called {spec.name!r}{path_hint}.{hint} `eyechart list {kind}` names them all."


def _near_timm(name: str, near: list[str]) -> list[str]:
    """Put timm's model of exactly this name first; where nothing else is near, give what timm has that is."""
    import timm  # slow, but only on the way to an error message

    models = timm.list_models()
    if name.partition(".")[0] in models:
        return [f"timm:{name}", *near]
    return near or [f"timm:{model}" for model in difflib.get_close_matches(name, models, n=3)]


def _check_argument(entry: Entry, spec: Spec) -> None:
    name = entry.function.argument
    if entry.function.argument_required and not spec.argument:
        raise EyechartError(f"{entry.name} needs its {name} after a colon: {entry.name}:{(name or '').upper()}")
    if spec.argument is not None and name is None:
        raise EyechartError(f"{entry.name} takes nothing after a colon; got {spec.argument!r}.")


def _bound_options(entry: Entry, spec: Spec) -> dict[str, Any]:
    options = {option.name: option for option in entry.function.options}
    for name in spec.options:
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            allowed = f"Its options are {', '.join(options)}." if options else "It has no options."
            raise EyechartError(f"{entry.name} has no option {name!r}.{hint} {allowed}")
    bound = {}
    for name, option in options.items():
        value = conform(option, spec.options[name], entry.name) if name in spec.options else option.default
        kind = _nested_kind(names_in(option.annotation))
        bound[name] = _bound_nested(kind, value) if kind else value
    return bound


def _nested_kind(names: set[str]) -> Kind | None:
    return "encoders" if "EncoderSpec" in names else "datasets" if "DataSpec" in names else None


def _nested_label(kind: Kind | None, value: Any) -> Any:
    if kind is None or value is None:
        return value
    return tuple(bind(kind, item).label for item in value) if isinstance(value, tuple) else bind(kind, value).label


def _bound_nested(kind: Kind, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(bind(kind, item).text for item in value)
    return None if value is None else bind(kind, value).text
