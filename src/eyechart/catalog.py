"""What there is to choose from, and what is known of each: `eyechart list` and `eyechart show`.

Nothing heavy is imported for a list; showing an encoder builds it when its transform is not known yet.
"""

import ast
import dataclasses
import math
import re
import shlex
from typing import Any, Literal

from eyechart import settings, study
from eyechart.cards import Card, cards, cards_of
from eyechart.errors import EyechartError, NotHere, Unavailable, did_you_mean
from eyechart.metrics.names import metrics
from eyechart.registry import Bound, Entry, Kind, bind, entries
from eyechart.signatures import Option, names_in
from eyechart.specs import literal

ListKind = Literal["encoders", "datasets", "tasks", "studies", "metrics"]
LIST_KINDS: tuple[ListKind, ...] = ("encoders", "datasets", "tasks", "studies", "metrics")


def listing(kind: str, **flags: Any) -> list[dict[str, Any]]:
    """Give the names of a kind, each with a line about it.

    Raises:
        EyechartError: no such kind.
    """
    with settings.using(**flags):
        match _kind(kind):
            case "studies":
                return [{"name": name, "about": study.read_study(name).about} for name in study.names()]
            case "metrics":
                return [_metric(name) for name in metrics()]
            case "encoders":
                return _entry_rows("encoders") + [{"name": one.name, "about": _line(one)} for one in cards().values()]
            case other:
                return _entry_rows(other)


def _metric(name: str) -> dict[str, Any]:
    described = metrics()[name]
    bounds = [bound if math.isfinite(bound) else None for bound in described["range"]]  # JSON has no infinity
    return {"name": name, **described, "range": bounds}


def _kind(kind: str) -> Any:
    plural = {
        "encoder": "encoders",
        "dataset": "datasets",
        "data": "datasets",
        "task": "tasks",
        "study": "studies",
    }
    kind = plural.get(kind, "metrics" if kind == "metric" else kind)
    if kind not in LIST_KINDS:
        hint = did_you_mean(kind, LIST_KINDS, n=1)
        raise EyechartError(f"the kind must be one of {', '.join(LIST_KINDS)}; got {kind!r}.{hint}")
    return kind


def _entry_rows(kind: Kind) -> list[dict[str, Any]]:
    rows = []
    for entry in entries(kind).values():
        function = entry.function
        options = ", ".join(f"{option.name}={literal(option.default)}" for option in function.options)
        about = (function.doc or "").partition("\n")[0]
        rows.append({"name": _head(entry), "about": about, "options": options})
    return rows


def _line(card: Card) -> str:
    known = f"{card.family} {card.backbone}; {card.objective}; {card.parameters:g} M parameters"
    return f"{known}; {card.license}; {card.spec}"


def describe(kind: str, name: str, **flags: Any) -> dict[str, Any]:
    """Give all that is known of one encoder, data set, task, study or metric.

    For an encoder with a card that is the card, and nothing is built or downloaded; for another one its transform,
    dimension and key; for a data set its splits and classes. Data that are not here are not downloaded: then it is said
    where they were looked for, and how to get them. For the bare name of a plugin that needs to be told more, such as a
    file or another encoder, its options.

    Raises:
        EyechartError: no such name, or its weights or images cannot be had.
    """
    with settings.using(**flags):
        match _kind(kind):
            case "studies":
                return dataclasses.asdict(study.read_study(name))
            case "metrics":
                if name not in metrics():
                    raise EyechartError(f"no metric is called {name!r}; there are {', '.join(metrics())}.")
                return _metric(name)
            case plugins:
                entry = entries(plugins).get(name.strip())
                return _usage(entry) if entry and _needs_more(entry) else _plugin(bind(plugins, name), flags)


def _needs_more(entry: Entry) -> bool:
    """Say whether a bare name stands for nothing yet: of one that takes a path, a name, or what it is made of."""
    made_of = {"encoders": "EncoderSpec", "datasets": "DataSpec"}.get(entry.kind)
    empty = (option for option in entry.function.options if option.default in (None, ()))
    return entry.function.argument_required or any(made_of in names_in(option.annotation) for option in empty)


def _usage(entry: Entry) -> dict[str, Any]:
    """Give a plugin as its source describes it."""
    function = entry.function
    options = {option.name: f"{_allowed(option)} = {literal(option.default)}" for option in function.options}
    return {"spec": _head(entry), "options": options, "about": function.doc}


def _allowed(option: Option) -> str:
    return ast.unparse(option.annotation).replace("'", '"') if option.annotation else "Any"


def _head(entry: Entry) -> str:
    """Give a name with what stands after the colon in capitals: `timm:NAME`."""
    return f"{entry.name}:{entry.function.argument.upper()}" if entry.function.argument else entry.name


def _plugin(bound: Bound, flags: dict[str, Any]) -> dict[str, Any]:
    known = {"spec": bound.text, "about": bound.entry.function.doc}
    match bound.kind:
        case "encoders":
            return known | _encoder(bound)
        case "datasets":
            return known | _dataset(bound, flags.get("data_dir"))
        case _:
            return known | {"headline": bound.entry.constants.get("HEADLINE")}


def _encoder(bound: Bound) -> dict[str, Any]:
    known = cards_of(bound.text)
    if known and known[0].download and not bound.nested("encoders"):
        card = dataclasses.asdict(known[0])
        stated = {name: value for name, value in card.items() if name != "spec" and value not in (None, ())}
        return {"card": stated, "bibtex": known[0].bibtex}
    from eyechart.embedding.loading import load_encoder
    from eyechart.types import Derived

    encoder = load_encoder(bound)
    if isinstance(encoder, Derived):
        return {"parts": encoder.parts, "distance": encoder.distance, "key": encoder.key}
    transform = dataclasses.asdict(encoder.transform) if encoder.transform else None
    return {
        "dim": encoder.dim,
        "distance": encoder.distance,
        "transform": transform,
        "loaded": encoder.loaded,
        "key": encoder.key,
    }


def _dataset(bound: Bound, data_dir: Any) -> dict[str, Any]:
    try:
        with settings.looking():
            data = bound.call()
    except NotHere as missing:
        return _without(bound, all_missing(bound, missing), data_dir)
    except Unavailable as missing:
        if bound.argument is not None:  # a path that leads nowhere
            raise
        return _without(bound, missing, data_dir)
    splits = {split: {"n": len(images), "key": images.key} for split, images in data.items()}
    first = next(iter(data.values()))
    return {
        "license": license_of(bound) or "not stated",
        "splits": splits,
        "classes": first.classes,
        "groups": first.groups is not None,
    }


def _without(bound: Bound, missing: Unavailable, data_dir: Any) -> dict[str, Any]:
    """Give what is known of a data set that is not here."""
    known = {"here": False, "reason": str(missing), "license": license_of(bound) or "not stated"}
    if not isinstance(missing, NotHere):  # it says how to get it by hand
        return known
    where = f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else ""
    size = {} if missing.megabytes is None else {"megabytes": missing.megabytes}
    return known | size | {"get_it": f"eyechart download --data {shlex.quote(bound.label)}{where}"}


def parts_of(bound: Bound) -> list[Bound]:
    """Give what an encoder or a data set is made of."""
    return [bind(bound.kind, spec) for specs in bound.nested(bound.kind).values() for spec in specs]


def all_missing(data: Bound, first: NotHere) -> NotHere:
    """Give as one what a data set made of others lacks of all of them; `first` is what opening it met."""
    found: list[NotHere] = []
    for part in parts_of(data):
        try:
            with settings.looking():
                part.call()
        except NotHere as error:
            found.append(all_missing(part, error))
        except EyechartError:  # said when it is opened for use
            continue
    if len(found) < 2:
        return first
    known = [error.megabytes for error in found if error.megabytes is not None]
    return NotHere(" And ".join(map(str, found)), sum(known) if len(known) == len(found) else None)


def license_of(data: Bound) -> str:
    """Give the license that a data set's docstring states after its source; of one made of others, all of theirs."""
    if parts := parts_of(data):
        return "; ".join(dict.fromkeys(found for part in parts if (found := license_of(part))))
    _, _, source = " ".join((data.entry.function.doc or "").split()).partition("Source: ")
    stated = re.search(r"\(([^()]+)\)\.", source)
    return stated[1] if stated else ""
