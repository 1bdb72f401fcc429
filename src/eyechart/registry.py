"""From a spec to what it stands for: every default filled in, every option checked, nothing imported."""

import dataclasses
from pathlib import Path
from typing import Any

from eyechart.entries import KINDS, Entry, Kind, aliases, entries, plugin_entries
from eyechart.errors import EyechartError, did_you_mean, near
from eyechart.libraries import torchvision_needed
from eyechart.signatures import conform, is_tuple, names_in
from eyechart.specs import Spec, literal, parse, written

__all__ = ["KINDS", "Bound", "Entry", "Kind", "aliases", "bind", "entries", "plugin_entries"]


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

    def nested(self, kind: Kind) -> dict[str, tuple[str, ...]]:
        """Give the specs of one kind among the options, by the option's name."""
        found = {}
        for option in self.entry.function.options:
            value = self.options.get(option.name)
            if _nested_kind(names_in(option.annotation)) == kind and value is not None:
                found[option.name] = value if isinstance(value, tuple) else (value,)
        return found


def bind(kind: Kind, text: str) -> Bound:
    """Fill in every default and check every option; nothing is imported.

    >>> bind("tasks", "knn(k=5)").label
    'knn(k=(5,))'

    Raises:
        EyechartError: no such name or option, or a value its annotation does not allow.
    """
    spec, alias = parse(text), ""
    if kind == "encoders" and spec.name in aliases() and spec.argument is None:
        if spec.texts:
            raise EyechartError(f"{spec.name} takes options only as name=value; got {literal(spec.texts[0])}.")
        base, given = parse(aliases()[spec.name]), spec.options
        alias = written(spec.name, None, given)
        spec = Spec(base.name, base.argument, base.options | given)
    known = entries(kind)
    if spec.name not in known and kind == "datasets":
        spec = _as_folder(text, spec)
    if spec.name not in known:
        raise EyechartError(_unknown(kind, spec))
    entry = known[spec.name]
    spec = _placed(entry, spec)
    _check_argument(entry, spec)
    return Bound(entry, spec.argument, _bound_options(entry, spec), alias)


def _placed(entry: Entry, spec: Spec) -> Spec:
    """Give the quoted texts of a spec their places: the argument, then the options in order; a tuple takes the rest.

    >>> bind("encoders", 'concat("pixels", "hog")').label
    'concat(parts=("pixels", "hog"))'
    """
    if not spec.texts:
        return spec
    waiting, argument, options = list(spec.texts), spec.argument, dict(spec.options)
    if entry.function.argument is not None:
        argument = waiting.pop(0)
    for option in entry.function.options:
        if not waiting:
            break
        if option.name in options:
            raise EyechartError(f"{entry.name}: {option.name} is given twice, by place and by name; leave one.")
        many = is_tuple(option.annotation)
        options[option.name] = tuple(waiting) if many else waiting[0]
        waiting = [] if many else waiting[1:]
    if waiting:
        raise EyechartError(f"{entry.name} has no place for {literal(waiting[0])}; write options as name=value.")
    return Spec(spec.name, argument, options)


def _as_folder(text: str, spec: Spec) -> Spec:
    """An existing path alone means `folder:`."""
    text = text.strip()
    if _exists(text):
        return Spec("folder", text, {})
    head = spec.name if spec.argument is None else f"{spec.name}:{spec.argument}"
    if _exists(head):
        return Spec("folder", head, spec.options)
    if "/" in spec.name or spec.name.startswith((".", "~")):
        raise EyechartError(f"there is no folder {head}; give the path of a folder of images, one folder per class.")
    return spec


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # too long for a path, or of a user who is not there
        return False


def _unknown(kind: Kind, spec: Spec) -> str:
    known = [*entries(kind), *(aliases() if kind == "encoders" else ())]
    meant = near(spec.name, known)
    if kind == "encoders":
        meant = _near_timm(spec.name, meant)
    article = {"encoders": "encoder", "datasets": "data set", "tasks": "task"}[kind]
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    if "(" in spec.name:
        return f"{spec.name!r} is no spec: options are written name=value between parentheses, as in pixels(size=8)."
    path_hint = " and there is no such folder" if kind == "datasets" else ""
    return f"no {article} is called {spec.name!r}{path_hint}.{hint} `eyechart list {kind}` names them all."


def _near_timm(name: str, meant: list[str]) -> list[str]:
    """Put timm's model of exactly this name first; where nothing else is near, give what timm has that is."""
    with torchvision_needed():
        import timm  # slow, but only on the way to an error message

    models = timm.list_models()
    if name.partition(".")[0] in models:
        return [f"timm:{name}", *meant]
    return meant or [f"timm:{model}" for model in near(name, models)]


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
            hint = did_you_mean(name, options, n=1)
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
