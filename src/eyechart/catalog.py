"""What there is to choose from, and what is known of each: `eyechart list` and `eyechart show`.

Nothing heavy is imported for a list; showing an encoder builds it when its transform is not known yet.
"""

import dataclasses
import difflib
import math
from typing import Any, Literal

from eyechart import settings, study
from eyechart.errors import EyechartError
from eyechart.metrics.names import metrics
from eyechart.registry import Bound, Kind, aliases, bind, entries
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
                cards = [{"name": name, "about": _card_line(card)} for name, card in aliases().items()]
                return _entry_rows("encoders") + cards
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
        near = difflib.get_close_matches(kind, LIST_KINDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise EyechartError(f"the kind must be one of {', '.join(LIST_KINDS)}; got {kind!r}.{hint}")
    return kind


def _entry_rows(kind: Kind) -> list[dict[str, Any]]:
    rows = []
    for entry in entries(kind).values():
        function = entry.function
        options = ", ".join(f"{option.name}={literal(option.default)}" for option in function.options)
        argument = f":{(function.argument or '').upper()}" if function.argument else ""
        about = (function.doc or "").partition("\n")[0]
        rows.append({"name": entry.name + argument, "about": about, "options": options})
    return rows


def _card_line(card: dict[str, Any]) -> str:
    return f"{card['objective']}; {card['parameters']} M parameters; {card['license']}; {card['spec']}"


def describe(kind: str, name: str, **flags: Any) -> dict[str, Any]:
    """Give all that is known of one encoder, data set, task, study or metric.

    For an encoder that includes its transform, dimension and key, for a data set its splits and classes.

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
            case "encoders":
                return _plugin(bind("encoders", name)) | _encoder(bind("encoders", name))
            case "datasets":
                return _plugin(bind("datasets", name)) | _dataset(bind("datasets", name))
            case _:
                return _plugin(bind("tasks", name)) | {"headline": bind("tasks", name).entry.constants.get("HEADLINE")}


def _plugin(bound: Bound) -> dict[str, Any]:
    card = aliases().get(bound.label, {}) if bound.kind == "encoders" else {}
    return {
        "spec": bound.text,
        "about": bound.entry.function.doc,
        **{k: v for k, v in card.items() if k != "spec"},
    }


def _encoder(bound: Bound) -> dict[str, Any]:
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


def _dataset(bound: Bound) -> dict[str, Any]:
    data = bound.call()
    splits = {split: {"n": len(images), "key": images.key} for split, images in data.items()}
    first = next(iter(data.values()))
    return {"splits": splits, "classes": first.classes, "groups": first.groups is not None}
