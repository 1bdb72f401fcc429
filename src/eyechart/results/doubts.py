"""Encoders whose numbers say that something went wrong before the probe: features no better than random ones."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from eyechart.errors import EyechartError
from eyechart.results.chance import chance_of, sizes, stated
from eyechart.results.decision import is_floor
from eyechart.results.leaderboard import headline
from eyechart.specs import Spec, parse, written
from eyechart.types import Dataset, Measure, Record

_DRAWN = {"pretrained", "weights", "revision", "seed"}  # options that choose the weights of one architecture
_REPOSITORY = ("hf-hub:", "hf_hub:")  # whose name is all there is
_TAGS = {"timm": ".", "open_clip": "/", "torchvision": "/"}  # what separates an architecture from its weights


def at_chance(record: Record, data: Dataset) -> str:
    """Say that an encoder that learned something scores no better than one that does not look, or nothing.

    That is the task's own chance, and of accuracy always giving the class that is most frequent in train.
    """
    shown = headline(record)
    if shown is None or shown.low is None or stated(record) is None or is_floor(str(record.bound["encoder"])):
        return ""
    guess, how = chance_of(stated(record), sizes(data)), "chance"
    if guess is None:
        return ""
    if shown.metric == "accuracy" and {"train", "test"} <= data.keys():
        always = np.bincount(data["train"].labels).argmax()
        share = float((data["test"].labels == always).mean())
        if share > guess:
            guess, how = share, f"always answering {data['train'].classes[always]!r}"
    if record.headline.get("direction") == "lower" or shown.low > guess:
        return ""
    said = "is no better than" if shown.value <= guess else "cannot be told apart from"
    return f"{_score(shown)} {said} {how} ({100 * guess:.1f} %)"


def _score(shown: Measure) -> str:
    between = "" if shown.low is None or shown.high is None else f" ({100 * shown.low:.1f} to {100 * shown.high:.1f})"
    return f"{shown.metric} {100 * shown.value:.1f} %{between}"


def doubts(records: Sequence[Record], names: Mapping[str, str]) -> list[str]:
    """Give a line for each encoder that scores no better than noise or than itself with random weights.

    Or that cannot be told apart from them: the 95 % interval of the difference holds 0, as Newcombe's method makes it
    from the intervals of both (Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17, 1998, method 10). The images are the same, so it is too wide rather than too narrow. Encoders with
    identical embeddings are named, too. `names` are by record id.
    """
    lines: dict[str, None] = {}
    for mine in records:
        for other in records:
            if not _comparable(mine, other):
                continue
            what = _relation(mine, other)
            if what and (scores := _no_better(mine, other)):
                lines[f"{names[mine.id]} on {mine.data}: {scores} {what}; were its features extracted right?"] = None
    return [*lines, *_same_features(records, names)]


def _comparable(mine: Record, other: Record) -> bool:
    same = (mine.keys["data"], mine.task, mine.seed) == (other.keys["data"], other.task, other.seed)
    return same and mine.keys["encoder"] != other.keys["encoder"] and "machine" not in mine.keys


def _relation(mine: Record, other: Record) -> str:
    """Say what the other is to an encoder that learned something: noise, or its random twin; nothing otherwise."""
    learned, floor = _parsed(mine), _parsed(other)
    if learned is None or floor is None or is_floor(str(mine.bound["encoder"])):
        return ""
    if not is_floor(str(other.bound["encoder"])):
        return ""
    if floor.name == "noise":
        return "of noise"
    return "of the same network with random weights" if _architecture(learned) == _architecture(floor) else ""


def _parsed(record: Record) -> Spec | None:
    try:
        return parse(str(record.bound["encoder"]))
    except EyechartError:  # of an encoder that is an object it is the key, which may be any text
        return None


def _architecture(spec: Spec) -> str:
    argument = spec.argument
    if argument and not argument.startswith(_REPOSITORY):
        argument = argument.partition(_TAGS.get(spec.name, "\n"))[0]
    return written(spec.name, argument, {name: value for name, value in spec.options.items() if name not in _DRAWN})


def _no_better(mine: Record, other: Record) -> str:
    """Give both scores in words where the first is not better, or not shown to be."""
    a, b = headline(mine), headline(other)
    if a is None or b is None or None in (a.low, a.high, b.low, b.high):
        return ""
    gained, mine_by, other_by = a.value - b.value, a.value - float(a.low or 0), float(b.high or 0) - b.value
    if mine.headline.get("direction") == "lower":
        gained, mine_by, other_by = -gained, float(a.high or 0) - a.value, b.value - float(b.low or 0)
    if gained > math.hypot(mine_by, other_by):
        return ""
    said = "is no better than" if gained <= 0 else "cannot be told apart from"
    return f"{mine.task} {_score(a)} {said} the {100 * b.value:.1f} %"


def _same_features(records: Iterable[Record], names: Mapping[str, str]) -> list[str]:
    alike: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
    for record in records:
        if str(record.bound["encoder"]).startswith("compared("):
            continue  # which is meant to have those of another
        if mark := str(record.made.get("features", "")):
            of_data = alike.setdefault((record.data, mark), {})
            of_data.setdefault(record.keys["encoder"], {})[names[record.id]] = None
    return [
        f"{' and '.join(dict.fromkeys(name for labels in encoders.values() for name in labels))} have identical "
        f"embeddings of {data}; are they meant to be the same?"
        for (data, _), encoders in alike.items()
        if len(encoders) > 1
    ]
