"""Cross-validation in a record: what a task measured in each fold, and what follows for all images together."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.errors import EyechartError
from eyechart.metrics.classification import OF_COUNTS
from eyechart.metrics.names import metrics
from eyechart.results import stats
from eyechart.results.paired import Answers, Counted, plain_scores, resampled
from eyechart.types import Facet, Images, Measure

_SHARES = {"accuracy", "mean_corruption_accuracy"}  # of the answers to each image, which all may be right by luck
_STREAM = 2  # of resamples; 0 and 1 are those of a comparison


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """What a task measured in one fold, as if there were no other."""

    number: int
    measures: tuple[Measure, ...]
    splits: tuple[str, ...]
    tested: tuple[str, ...]  # ids of the embedded test images, in their order; empty where test was not embedded


def measures_of(folds: Sequence[Fold], images: Images) -> tuple[Measure, ...]:
    """Give the measures of a record: first the pooled ones, then those of each fold.

    Args:
        folds: what the task measured in each, in their order.
        images: the pooled test split, which holds every image once.

    A fold's measures have the facet `fold`, and `split` names its own split (`fold2/test`). The pooled ones look like
    those of a task without folds, but facets that differ between folds, such as the k that was chosen, are left out.

    Of test, accuracy and other shares, and means over images, are of all images, each scored by the fold it was tested
    in; over repeats it is each image's mean. Balanced accuracy and macro-F1 are of the pooled predictions, over repeats
    their mean. Their intervals are for the luck of which images there are (of a share, Wilson's), with these very
    training sets: what others would change is not in them, and cannot be estimated without bias from one
    cross-validation (Bengio and Grandvalet, JMLR 5, 2004, theorem 1). Of the accuracy over all training sets, those of
    95 % cover 86 to 96 % (simulated: docs/data.md).

    All else, such as AUROC, whose scores do not compare between classifiers, and everything on val and train, is the
    mean over folds. n is then the number of folds, and the interval is Student's with the variance
    s^2 (1 / folds + test images / training images), because folds share training images (Nadeau and Bengio, Machine
    Learning 52, 2003); it is rough.
    """
    layout = _layout(folds, images)
    return (*_pooled(folds, layout), *(measure for fold in folds for measure in _of_one(fold)))


def _of_one(fold: Fold) -> Iterator[Measure]:
    for measure in fold.measures:
        facets = dict(measure.facets)
        if facets.get("split") in fold.splits:
            facets["split"] = f"fold{fold.number}/{facets['split']}"
        yield dataclasses.replace(measure, facets=facets | {"fold": fold.number})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Layout:
    """Where each fold's tested images are among all."""

    rows: tuple[Int64[np.ndarray, " _"], ...]
    y: Int64[np.ndarray, " n"]
    classes: int
    repeats: int


def _layout(folds: Sequence[Fold], images: Images) -> _Layout | None:
    """Give where images are; None where the task embeds no test."""
    if not all(fold.tested for fold in folds):
        return None
    tested = {name for fold in folds for name in fold.tested}
    kept = [row for row, name in enumerate(images.ids) if name in tested]  # some could not be read
    place = {images.ids[row]: position for position, row in enumerate(kept)}
    rows = tuple(np.array([place[name] for name in fold.tested], dtype=np.int64) for fold in folds)
    times = np.bincount(np.concatenate(rows), minlength=len(kept))
    repeats = int(times[0])
    if (times != repeats).any() or len(folds) % repeats:
        raise EyechartError("folds must test every image equally often; these test some more often than others.")
    return _Layout(rows=rows, y=images.labels[kept], classes=len(images.classes), repeats=repeats)


_Facets = dict[str, Facet]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Each:
    """What is known of each tested image in each repeat."""

    outcomes: np.ndarray  # [repeats, n]
    predicted: Int64[np.ndarray, "repeats n"] | None


def _pooled(folds: Sequence[Fold], layout: _Layout | None) -> Iterator[Measure]:
    found = list(matched([fold.measures for fold in folds]))
    each = [None if layout is None else _of_images(facets, several, layout) for facets, several in found]
    judged = {
        frozenset(facets.items()): one
        for (facets, several), one in zip(found, each, strict=True)
        if several[0].metric == "accuracy" and one is not None
    }
    ratio = _ratio(folds, layout)
    for (facets, several), one in zip(found, each, strict=True):
        metric, made = several[0].metric, None
        if layout and metric in OF_COUNTS and (known := judged.get(frozenset(facets.items()))) is not None:
            made = _of_counts(metric, known, layout, facets)
        elif layout and one is not None:
            made = _over_images(metric, one, layout, facets)
        yield made or over_folds(several, facets, ratio=ratio)


def _of_images(facets: _Facets, several: Sequence[Measure], layout: _Layout) -> _Each | None:
    if facets.get("split") != "test":
        return None
    predicted = _gathered([measure.predicted for measure in several], layout)
    if predicted is not None:
        return _Each(outcomes=(predicted == layout.y), predicted=predicted.astype(np.int64))
    outcomes = _gathered([measure.outcomes for measure in several], layout)
    return None if outcomes is None else _Each(outcomes=outcomes, predicted=None)


def _gathered(several: Sequence[np.ndarray | None], layout: _Layout) -> np.ndarray | None:
    """Put values of each fold's tested images together, [repeats, n]; None where some fold has none."""
    given = [values for values in several if values is not None]
    if [len(values) for values in given] != [len(rows) for rows in layout.rows]:
        return None
    found = np.empty((layout.repeats, len(layout.y)), np.result_type(*given))
    for place, (rows, values) in enumerate(zip(layout.rows, given, strict=True)):
        found[place * layout.repeats // len(layout.rows), rows] = values
    return found


def _over_images(metric: str, each: _Each, layout: _Layout, facets: _Facets) -> Measure | None:
    """Measure a mean over the images that have a value; None where none has."""
    losses = metric not in _SHARES and np.issubdtype(each.outcomes.dtype, np.floating)
    shares = each.outcomes.mean(axis=0, dtype=np.float64)
    if losses:
        known = shares[~np.isnan(shares)]
        if not len(known):
            return None
        made = dataclasses.replace(stats.mean(metric, known, facets=facets), outcomes=shares.astype(np.float32))
        return made if np.ptp(known) > 0 else dataclasses.replace(made, low=None, high=None)
    if layout.repeats == 1 and not np.issubdtype(each.outcomes.dtype, np.floating):
        predicted = None if each.predicted is None else each.predicted[0]
        return stats.proportion(metric, each.outcomes[0].astype(bool), facets=facets, predicted=predicted)
    # Wilson's, for so many images and no more: repeats test the same ones again. By the spread of the shares it would
    # be shorter, and cover less, because what repeats average out is not what other images would change.
    n, share = len(shares), float(shares.mean())
    spread = float(np.sqrt(share * (1 - share)))
    if metric != "accuracy" and n > 1:  # a share of cells in each repeat
        spread = float(each.outcomes.std(axis=1, ddof=1, dtype=np.float64).mean())
    made = stats.area(metric, share, spread / np.sqrt(n), images=float(n), n=n, facets=facets)
    return dataclasses.replace(made, outcomes=shares.astype(np.float32))


def _of_counts(metric: str, each: _Each, layout: _Layout, facets: _Facets) -> Measure | None:
    """Measure a mean over classes; None where it needs to know which classes were predicted, and that is not known."""
    guesses = each.predicted is not None
    if not guesses and metric != "balanced_accuracy":
        return None
    if each.predicted is not None and layout.repeats == 1:
        (made,) = stats.of_counts({metric: OF_COUNTS[metric]}, layout.y, each.predicted[0], layout.classes, facets)
        return made
    predicted = np.zeros(each.outcomes.shape, np.int64) if each.predicted is None else each.predicted
    answers = Answers(
        outcomes=each.outcomes.T[:, None].astype(np.float64),
        units=np.arange(len(layout.y), dtype=np.int64),
        counted=Counted(
            metric=OF_COUNTS[metric],
            y=layout.y,
            predicted=predicted.T[:, None],
            classes=layout.classes,
            guesses=guesses,
        ),
    )
    (draws,) = resampled([answers], stream=_STREAM)
    value, error = float(plain_scores(answers)[0]), float(draws[:, 0].std(ddof=1))
    low, high = stats.classes_interval(value, error, float(answers.worth[0]))
    return Measure(metric=metric, value=value, n=len(layout.y), low=low, high=high, facets=facets)


def _ratio(folds: Sequence[Fold], layout: _Layout | None) -> float:
    """Give test images / training images: what is neither tested nor val is trained on.

    Where that cannot be told, because a task embeds no test, all that is not tested counts as trained on.
    """
    if layout is None:
        return 1 / (len(folds) - 1)
    tested = sum(len(rows) for rows in layout.rows)
    return tested / (len(folds) * len(layout.y) - tested - sum(map(_of_val, folds)))


def _of_val(fold: Fold) -> int:
    """Give the number of val images, by what is measured of each of them; none where val was not looked at."""
    on_val = [measure for measure in fold.measures if measure.facets.get("split") == "val"]
    stored = [values for measure in on_val for values in (measure.predicted, measure.outcomes) if values is not None]
    return max(map(len, stored), default=0)


def over_folds(several: Sequence[Measure], facets: _Facets, *, ratio: float) -> Measure:
    """Measure the mean over folds, given their test images / training images; no interval where all folds agree."""
    values = np.array([measure.value for measure in several], dtype=np.float64)
    low, high = _corrected(values, ratio) or (None, None)
    least, most = metrics().get(several[0].metric, {}).get("range", (-np.inf, np.inf))
    return Measure(
        metric=several[0].metric,
        value=float(values.mean()),
        n=len(values),
        low=None if low is None else max(least, low),
        high=None if high is None else min(most, high),
        facets=facets,
    )


def _corrected(values: Float64[np.ndarray, " folds"], ratio: float) -> tuple[float, float] | None:
    from scipy.special import stdtrit

    spread, number = float(values.std(ddof=1)), len(values)
    if values.min() == values.max():
        return None
    half = float(stdtrit(number - 1, 0.975)) * spread * np.sqrt(1 / number + ratio)
    middle = float(values.mean())
    return middle - float(half), middle + float(half)


def matched(folds: Sequence[Sequence[Measure]]) -> Iterator[tuple[_Facets, tuple[Measure, ...]]]:
    """Give the measures that all folds have, with the facets they have in common.

    First those of equal metric and facets; one that some folds chose and others did not is not `selected`. Then the
    chosen ones of each fold, and others that differ only in facets that are not needed to tell a fold's measures
    apart, such as a penalty. What some fold lacks is left out.
    """
    by_key = [{_key(measure): measure for measure in fold} for fold in folds]
    agreed = set()
    for key, first in by_key[0].items():
        if all(key in here for here in by_key):
            several = tuple(here[key] for here in by_key)
            alike = len({measure.facets.get("selected") for measure in several}) == 1
            yield dict(first.facets) | ({} if alike else {"selected": False}), several
            agreed |= {key} if alike else set()
    rest = [[measure for key, measure in here.items() if key not in agreed] for here in by_key]
    for kind in dict.fromkeys(_kind(measure) for left in rest for measure in left):
        if kind != (False, False):  # those are of single hyperparameters: of different ones there is no mean
            yield from _alike([[measure for measure in left if _kind(measure) == kind] for left in rest])


def _kind(measure: Measure) -> tuple[Facet | None, bool]:
    return measure.facets.get("selected"), "draw" in measure.facets


def _key(measure: Measure, without: frozenset[str] = frozenset({"selected"})) -> tuple[str, frozenset]:
    return measure.metric, frozenset((name, value) for name, value in measure.facets.items() if name not in without)


def _alike(folds: Sequence[Sequence[Measure]]) -> Iterator[tuple[_Facets, tuple[Measure, ...]]]:
    """Match measures by the facets that are needed to tell those of a fold apart."""
    dropped: frozenset[str] = frozenset()
    names = dict.fromkeys(name for fold in folds for measure in fold for name in measure.facets)
    names.pop("split", None)
    for name in reversed([*names]):
        fewer = dropped | {name}
        if all(len({_key(measure, fewer) for measure in fold}) == len(fold) for fold in folds):
            dropped = fewer
    by_key = [{_key(measure, dropped): measure for measure in fold} for fold in folds]
    for key, first in by_key[0].items():
        if all(key in here for here in by_key):
            several = tuple(here[key] for here in by_key)
            shared = set.intersection(*(set(measure.facets.items()) for measure in several))
            yield {name: value for name, value in first.facets.items() if (name, value) in shared}, several
