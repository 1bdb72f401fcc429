"""Few-shot classification: how far a few labels of each class go."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Int64

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.probes.scorers import mean_row
from eyechart.results.stats import wilson
from eyechart.tasks._classification import check_labels
from eyechart.tasks._draws import draw_scores, embedded_rows, first_of_each
from eyechart.tasks._fewshot import PROBES, Answers, Given
from eyechart.types import DistanceName, Embeddings, Facet, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
DEFAULT_SHOTS = (1, 2, 5, 10, 25)
_SHOWN = 10  # the headline is of so many shots, or of as many as there can be below
_NAMED = 3  # classes named one by one


def fewshot(
    case: Case,
    *,
    shots: tuple[int, ...] = (1, 2, 5, 10, 25),
    draws: int = 10,
    probe: tuple[Literal["ridge", "centroid", "logistic", "nearest"], ...] = ("ridge", "centroid"),
    pick: Literal["random", "first"] = "random",
    penalties: tuple[float, ...] = (16.0, 128.0, 1024.0, 8192.0, 65536.0),
    c: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0),
    distance: DistanceName = "default",
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of classifiers trained on a few images of each class, over several draws of these images.

    For each number of shots, so many images of every class are drawn from train, `draws` times. The draws depend on
    the seed, the shots and the number of the draw alone: they are the same for every encoder, probe and other option,
    and none depends on another. All are scored on the whole of val and test.

    Probes. `ridge`: regression onto +-1 for the class, standardized by the few images, with a constant feature of 100
    as the bias, in closed form (big_vision's few-shot evaluation; its penalty is 1024). `centroid`: the nearest class
    mean of rows centered and scaled to length 1 (SimpleShot's CL2N), centered by the mean of all of train, for which no
    label is needed. `logistic`: the linear probe's regression. `nearest`: the class of the nearest image by
    `distance`, the encoder's own by default.

    The penalty (of equally good ones the largest) and C (the smallest) are chosen on val for each draw. Val may hold
    many more labels than the few that are trained on; `penalties=1024` fixes the penalty and needs none of them.

    The measures without `draw` are means over the draws, with the share of draws that were right for each image, an
    interval for both the luck of the draw and the luck of the images, and `accuracy_sd`, the standard deviation over
    draws. Those with `draw` are of one draw, with an interval for the luck of the images alone. The headline is the
    first probe at 10 shots, or at the most below 10 (else at the fewest) there are.

    Of the default list of shots those beyond the smallest class are left out, and that is noted; of any other list all
    must be possible. A class without any training image is never predicted. `pick="first"` takes the first images of
    each class in file order: an older protocol is `fewshot(shots=5, draws=1, pick="first", probe="nearest",
    distance="cosine")`.
    """
    _check(shots, probe, draws, pick, penalties, c)
    train, val, test = case.embed("train"), case.embed("val"), case.embed("test")
    check_labels(train, case.label)
    shots = _possible(case, train, shots, default=shots == DEFAULT_SHOTS)
    given = Given(
        train=train,
        val=val,
        test=test,
        mean=mean_row(train.x),
        penalties=penalties,
        c=c,
        distance=case.distance(distance),
        note=case.note,
    )
    shown = max((one for one in shots if one <= _SHOWN), default=shots[0])
    for number in shots:
        drawn = [_drawn(case, train, number, draw, pick) for draw in range(draws)]
        if draws > 1 and len(drawn[0]) == len(train):
            case.note(f"with {number} shots every draw takes the same images: there are no others")
        for name in dict.fromkeys(probe):
            answers = PROBES[name](given, drawn)
            selected = number == shown and name == probe[0]
            yield from _measured(given, answers, {"probe": name, "shots": number}, selected)


def _possible(case: Case, train: Embeddings, shots: tuple[int, ...], *, default: bool) -> tuple[int, ...]:
    """Give the numbers of shots in order, each once; those beyond the smallest class are left out or refused."""
    number = np.bincount(train.y, minlength=len(train.classes))
    if absent := [train.classes[label] for label in np.flatnonzero(number == 0)]:
        more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        case.note(f"no training image of {', '.join(absent[:_NAMED])}{more}: never predicted")
    smallest = int(np.where(number > 0, number, len(train) + 1).argmin())
    most, name = int(number[smallest]), train.classes[smallest]
    wanted = sorted(set(shots))
    possible = tuple(one for one in wanted if 1 <= one <= most)
    if default and len(possible) < len(wanted):
        case.note(f"of {DEFAULT_SHOTS} shots only {possible} are possible: {name!r} has {most} training images")
    elif len(possible) < len(wanted):
        got = next(one for one in wanted if one not in possible)
        raise EyechartError(
            f"shots must be between 1 and the {most} training images that {case.label} has of {name!r}; got {got}. "
            f"Ask for at most {most}, or leave out `shots` and take what is possible."
        )
    return possible


def _check(
    shots: tuple[int, ...],
    probe: tuple[str, ...],
    draws: int,
    pick: str,
    penalties: tuple[float, ...],
    c: tuple[float, ...],
) -> None:
    for name, asked in (("shots", shots), ("probe", probe)):
        if not asked:
            raise EyechartError(f"fewshot: {name} must be one or more; got none. Leave it out to take the default.")
    if draws < 1:
        raise EyechartError(f"fewshot: draws must be 1 or more; got {draws}.")
    if pick == "first" and draws > 1:
        raise EyechartError(f'fewshot: pick="first" is one draw, the same every time; got draws={draws}. Add draws=1.')
    for name, values in (("penalties", penalties), ("c", c)):
        if not values or not all(0 < value < np.inf for value in values):
            got = ", ".join(map(str, values)) or "none"
            raise EyechartError(f"fewshot: {name} must be one or more finite numbers above 0; got {got}.")


def _drawn(case: Case, train: Embeddings, shots: int, draw: int, pick: str) -> Int64[np.ndarray, " m"]:
    """Give the rows of train that one draw takes, ascending."""
    order = np.arange(len(case.images("train")))
    if pick == "random":
        # Not case.rng, which depends on every option: another list of shots or probes leaves these draws as they are.
        rng = np.random.default_rng(int(digest(case.seed, "fewshot", shots, draw), 16))
        order = rng.permutation(order)
    return first_of_each(train.y, embedded_rows(case.images("train"), train, order), shots)


def _measured(given: Given, answers: Answers, facets: dict[str, Facet], selected: bool) -> Iterator[Measure]:
    for split, embedded, predicted in (("val", given.val, answers.val), ("test", given.test, answers.test)):
        where = {"split": split, **facets}
        yield from draw_scores(embedded, predicted, where, selected)
        for draw, (one, chosen) in enumerate(zip(predicted, answers.chosen, strict=True)):
            right = one == embedded.y
            low, high = wilson(int(right.sum()), len(right))
            yield Measure(
                metric="accuracy",
                value=float(right.mean()),
                n=len(right),
                low=low,
                high=high,
                facets={**where, "draw": draw, "selected": False, **chosen},
            )
