"""Robustness: what corruptions of the test images cost probes that have never seen any."""

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from eyechart.case import Case
from eyechart.errors import EyechartError, did_you_mean
from eyechart.images.corruptions import check, corrupted
from eyechart.images.corruptions.profiles import PHOTOGRAPHIC, SETS, Cell
from eyechart.images.reading import Unreadable
from eyechart.metrics.robustness import flipped, overlap, stability
from eyechart.results.stats import mean, proportion
from eyechart.tasks._classification import calibration_scores, check_labels
from eyechart.tasks._heads import Linear, Nearest, linear_head, nearest
from eyechart.tasks._severity import Answers, summaries
from eyechart.types import DistanceName, Embeddings, Facet, Images, Measure

HEADLINE = {
    "metric": "mean_corruption_accuracy",
    "facets": {"average": "asked", "probe": "linear"},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
ALSO = (
    {
        "name": "knn",
        "metric": "mean_corruption_accuracy",
        "facets": {"average": "asked", "probe": "knn", "selected": True},
    },
    {
        "name": "relative",
        "metric": "relative_robustness",
        "facets": {"average": "asked", "normalize": "ratio", "probe": "linear"},
        "beside": {"name": "clean", "metric": "accuracy", "facets": {"split": "test", "probe": "linear"}},
    },
    {
        "name": "relative, knn",
        "metric": "relative_robustness",
        "facets": {"average": "asked", "normalize": "ratio", "probe": "knn", "selected": True},
        "beside": {
            "name": "clean",
            "metric": "accuracy",
            "facets": {"split": "test", "probe": "knn", "selected": True},
        },
    },
)
_SPLIT = re.compile(r"test/([a-z_]+)/([1-5])")
_SMALL = 64  # pixels of the longer side up to which images are corrupted as CIFAR's
_NEAR = 10  # neighbors that are compared
_CALIBRATION = {"nll", "brier", "ece"}
_Name = tuple[tuple[str, Facet], ...]  # facets of a probe, as a key


def robustness(
    case: Case,
    *,
    corruptions: Literal["common", "prior", "all"] | tuple[str, ...] = "all",
    severities: tuple[Literal[1, 2, 3, 4, 5], ...] = (1, 2, 3, 4, 5),
    profile: Literal["auto", "official", "cifar-c", "imagenet-c", "photo"] = "auto",
    k: tuple[int, ...] = (1, 5, 20),
    votes: Literal["uniform", "similarity", "exp"] = "uniform",
    temperature: float = 0.07,
    distance: DistanceName = "default",
    database: Literal["train", "train+val"] = "train",
    c: tuple[float, ...] | Literal["dinov2", "coarse-to-fine", "five"] = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
    refit: Literal["train", "train+val"] = "train+val",
    version: Literal[1] = 1,
) -> Iterator[Measure]:
    """Accuracy on corrupted test images, of k-NN and of a linear probe that were fitted once, on clean images.

    `profile` says whose corruptions: those of CIFAR-10-C (`cifar-c`, on images as they are) or of ImageNet-C
    (`imagenet-c`, on images scaled to 256 and cut to 224), what happens to photographs (`photo`), or the splits
    test/<corruption>/<severity> that the data set has (`official`). "auto" takes those where there are any, else
    cifar-c where the test images are at most 64 pixels long, else imagenet-c. `corruptions` are the 15 of the paper
    ("common"), those and gaussian_blur ("prior", the 16 of the prior system), all 19, or a list; of `photo` "all" are
    its six. A split that the data set lacks is named, and every mean says how many cells it has of how many.

    k and C are chosen on clean val; `selected` marks the k. `votes`, `temperature`, `distance` and `database` are those
    of `knn`, `c` and `refit` those of `linear`. Each cell has its accuracy, how many predictions changed (flip_rate),
    how far embeddings moved (embedding_stability), how many of the 10 nearest images that vote stay (neighbor_overlap),
    and of the linear probe what its probabilities, calibrated on val, are worth. The headline is the linear probe's
    mean over the cells asked for. Val is not corrupted, so no encoder is chosen by it.

    Source: Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions and perturbations,
    ICLR 2019.
    """
    whose, cells, asked = _cells(case, corruptions, severities, profile)  # before hours of embedding
    check_labels(case.embed("train"), case.label)
    weighing = {"votes": votes, "temperature": temperature}
    knn = nearest(case, k, distance=distance, database=database, **weighing)
    probes = _Probes(knn=knn, votes=votes, linear=linear_head(case, c, refit))
    clean = _look(probes, case.embed("test"))
    facets: dict[str, Facet] = {"split": "test", "profile": whose}
    yield from _measures(probes, clean, "accuracy", {"split": "test"})
    right: dict[_Name, dict[Cell, np.ndarray]] = {name: {} for name in clean.predicted}
    for cell, embedded in zip(cells, case.embed_views(list(cells.values())), strict=True):
        seen = _look(probes, _in_order(embedded, clean.embedded, case.label, cell))
        of_cell = {**facets, "corruption": cell[0], "severity": cell[1]}
        yield from _measures(probes, seen, "corruption_accuracy", of_cell)
        yield from _changes(seen, clean, of_cell)
        for name, predicted in seen.predicted.items():
            right[name][cell] = predicted == clean.embedded.y
    chance = 1 / len(clean.embedded.classes)
    for name, of_cells in right.items():
        first = clean.predicted[name] == clean.embedded.y
        answers = Answers(clean=first, cells=of_cells, asked=asked, chance=chance, facets={**facets, **dict(name)})
        yield from summaries(answers, named=whose != "photo")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Probes:
    """What was fitted on clean images."""

    knn: Nearest
    votes: str
    linear: Linear


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """What the probes make of the test images, as they are or corrupted."""

    embedded: Embeddings
    near: Int64[np.ndarray, "n k"]
    logits: Float32[np.ndarray, "n c"]
    predicted: Mapping[_Name, Int64[np.ndarray, " n"]]


def _look(probes: _Probes, embedded: Embeddings) -> _Seen:
    """Ask the probes: one search serves every k and the neighbors that are compared."""
    near = probes.knn.near(embedded.x, least=_NEAR)
    by_k, best = probes.knn.predicted(near), probes.knn.best
    logits = probes.linear.logits(embedded.x)
    knn = {(("probe", "knn"), ("k", k), ("votes", probes.votes), ("selected", k == best)): by_k[k] for k in by_k}
    linear = {(("probe", "linear"), ("c", probes.linear.c), ("selected", True)): logits.argmax(axis=1)}
    return _Seen(embedded=embedded, near=near.index[:, :_NEAR], logits=logits, predicted={**knn, **linear})


def _measures(probes: _Probes, seen: _Seen, metric: str, facets: Mapping[str, Facet]) -> Iterator[Measure]:
    """Measure accuracy, with the predictions where k is the chosen one, and what probabilities are worth."""
    y = seen.embedded.y
    for name, predicted in seen.predicted.items():
        of_probe = {**dict(name), **facets}
        measure = proportion(metric, predicted == y, facets=of_probe, predicted=predicted)
        yield measure if of_probe["selected"] else dataclasses.replace(measure, predicted=None, outcomes=None)
    calibrated = seen.logits / np.float32(probes.linear.temperature)
    of_linear = {"probe": "linear", "c": probes.linear.c, "selected": True, "calibrated": True}
    for measure in calibration_scores(seen.embedded, calibrated, **of_linear, **facets):
        if measure.metric in _CALIBRATION:
            yield dataclasses.replace(measure, outcomes=None)


def _changes(seen: _Seen, clean: _Seen, facets: Mapping[str, Facet]) -> Iterator[Measure]:
    """Measure what needs no labels: other predictions, other embeddings, other neighbors."""
    changes = [
        proportion("flip_rate", flipped(before, seen.predicted[name]), facets={**dict(name), **facets}, predicted=None)
        for name, before in clean.predicted.items()
        if dict(name)["selected"]
    ]
    changes.append(mean("embedding_stability", stability(clean.embedded.x, seen.embedded.x), facets=dict(facets)))
    changes.append(mean("neighbor_overlap", overlap(clean.near, seen.near), facets={**facets, "k": seen.near.shape[1]}))
    yield from (dataclasses.replace(one, outcomes=None) for one in changes)


def views(case: Case, options: Mapping[str, Any]) -> Iterable[Images]:
    """Give what is embedded beside the splits, so that `--dry-run` can tell how long it takes."""
    return _cells(case, options["corruptions"], options["severities"], options["profile"])[1].values()


def _cells(
    case: Case, corruptions: tuple[str, ...] | str, severities: tuple[int, ...], profile: str
) -> tuple[str, dict[Cell, Images], list[Cell]]:
    """Give whose corruptions these are, the images of each cell that can be had, and all cells asked for."""
    there = {(m[1], int(m[2])): split for split in case.splits if (m := _SPLIT.fullmatch(split))}
    test = case.images("test")
    if profile == "auto":
        profile = "official" if there else "cifar-c" if _longer_side(test) <= _SMALL else "imagenet-c"
    names = _named(corruptions, profile)
    asked = [(name, severity) for name in names for severity in sorted(set(severities))]
    if not asked:
        raise EyechartError("robustness: corruptions and severities must each name one or more.")
    if profile != "official":
        for name, severity in asked:
            check(name, severity, profile)
        return profile, {cell: corrupted(test, *cell, profile=profile) for cell in asked}, asked
    known = {*SETS["all"], *(name for name, _ in there)}
    if unknown := [name for name in names if name not in known]:
        hint = did_you_mean(unknown[0], sorted(known))
        raise EyechartError(f"robustness: {case.label} has no corruption {unknown[0]!r}.{hint}")
    missing = [cell for cell in asked if cell not in there]
    if len(missing) == len(asked):
        raise EyechartError(f'{case.label} has no split test/<corruption>/<severity>; profile="cifar-c" makes them.')
    if missing:
        case.note(f"of {len(asked)} corrupted splits {len(missing)} are missing: {_listed(missing)}")
    return profile, {cell: case.images(there[cell]) for cell in asked if cell in there}, asked


def _longer_side(images: Images) -> int:
    """Give that of the first image that can be read."""
    for row in range(len(images)):
        with contextlib.suppress(Unreadable):  # it is left out by name when it is embedded
            return max(images.load(row).shape[:2])
    return 0


def _named(corruptions: tuple[str, ...] | str, profile: str) -> tuple[str, ...]:
    if not isinstance(corruptions, str):
        return tuple(dict.fromkeys(corruptions))
    if profile == "photo" and corruptions != "all":
        raise EyechartError(
            f'robustness: the profile photo has no corruptions {corruptions!r}; leave it at "all", or name some of '
            f"{', '.join(PHOTOGRAPHIC)}."
        )
    return PHOTOGRAPHIC if profile == "photo" else SETS[corruptions]


def _listed(cells: Sequence[Cell]) -> str:
    """Name corruptions of which all is missing once, and other cells with their severity."""
    by_name: dict[str, list[int]] = {}
    for name, severity in cells:
        by_name.setdefault(name, []).append(severity)
    return ", ".join(f"{name} ({', '.join(map(str, severities))})" for name, severities in by_name.items())


def _in_order(embedded: Embeddings, clean: Embeddings, label: str, cell: Cell) -> Embeddings:
    """Give the embeddings of a cell in the order of the clean ones."""
    if embedded.ids == clean.ids:
        return embedded
    place = {name: row for row, name in enumerate(embedded.ids)}
    lacking = [name for name in clean.ids if name not in place]
    if lacking or len(embedded) != len(clean):
        what = f"lacks {lacking[0]}" if lacking else "has others besides"
        raise EyechartError(f"{label}: test/{cell[0]}/{cell[1]} must have the images of test, by id; it {what}.")
    return embedded.take(np.array([place[name] for name in clean.ids]))
