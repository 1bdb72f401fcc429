"""Folds for cross-validation: every image is tested once in each repeat, by what was learnt without it."""

import logging
import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.images.splits import draw
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

log = logging.getLogger("eyechart")
POOLED = "test"  # the split that holds every image once
_NAME = re.compile(r"fold([1-9][0-9]*)/(.+)")
_FEW = 0.75  # of what folds learn from on average: one that learns from less is another experiment
_LACKS = (  # a split, another, and what is said where the other lacks classes of the one
    ("test", "train", "%s: fold %s: test has classes that train has not, so they cannot be learnt: %s"),
    ("train", "val", "%s: fold %s: val has not all classes, so k, C and the like are chosen without them: %s"),
)


def cut(images: Images, *, folds: int, repeats: int = 1, val: float = 0.2, seed: int = 0, what: str = "") -> Dataset:
    """Give the splits fold1/train, fold1/val, fold1/test, fold2/train, ..., and `test`, which holds every image once.

    In each repeat the images are dealt to so many folds, stratified and with exact duplicates and groups on one side;
    each fold is the test of one split, and of the others a share `val` is drawn as val. Folds are numbered through the
    repeats. All splits are row views of the images, so cutting embeds nothing again. What folds lack is for
    `warn_of_gaps` to say, when nothing is changed about them any more.

    Raises:
        EyechartError: there are fewer than 2 folds or 1 repeat, or too few images of a class.
    """
    if folds < 2 or repeats < 1:
        raise EyechartError(f"{what}: folds must be at least 2 and repeats at least 1; got {folds} and {repeats}.")
    check_classes(images, folds, what)
    # In the order of the names: a changed pixel moves an image among the contents, but not into another fold.
    whole = rows(images, np.array(sorted(range(len(images)), key=images.ids.__getitem__)))
    made: Dataset = {}
    for repeat in range(repeats):
        shares = {str(fold): 1 / folds for fold in range(folds)}
        dealt = draw(whole, shares, seed=_seed(seed, repeat), even=True)
        for fold, tested in enumerate(dealt.values()):
            number = repeat * folds + fold + 1
            rest = np.setdiff1d(np.arange(len(whole)), tested)
            drawn = draw(rows(whole, rest), {"train": 1 - val, "val": val}, seed=_seed(seed, repeat, fold), even=True)
            made |= _named(whole, number, {split: rest[chosen] for split, chosen in drawn.items()} | {"test": tested})
    made |= {POOLED: images}
    _check_parts(made, what)
    return made


def parts(data: Dataset) -> dict[int, Dataset]:
    """Give the train, val and test of each fold by its number; nothing of data without folds."""
    found: dict[int, Dataset] = {}
    if POOLED not in data:
        return found
    for split, images in data.items():
        if (number := fold_of(split)) is not None:
            found.setdefault(number, {})[split.partition("/")[2]] = images
    return found


def fold_of(split: str) -> int | None:
    """Give the number of the fold that a split belongs to; None where it belongs to none.

    >>> fold_of("fold12/train"), fold_of("test"), fold_of("test/fog/3")
    (12, None, None)
    """
    named = _NAME.fullmatch(split)
    return int(named[1]) if named else None


def numbers(splits: Iterable[str]) -> list[int]:
    """Give the numbers of the folds among some splits, ascending."""
    return sorted({number for split in splits if (number := fold_of(split)) is not None})


def restricted(data: Dataset, whole: Images, what: str = "") -> Dataset:
    """Give data with folds cut down to those images of `whole` (some or all of the data's) that each split holds.

    What the folds lack then is warned of.

    Raises:
        EyechartError: nothing is left of a split.
    """
    made: Dataset = {}
    for split, images in data.items():
        wanted = set(images.ids)
        made[split] = rows(whole, np.array([row for row, name in enumerate(whole.ids) if name in wanted], np.int64))
        if not len(made[split]):
            raise EyechartError(
                f"{what}: none of the {len(whole)} images that are left is in {split}; take more images."
            )
    made |= {POOLED: whole}
    warn_of_gaps(made, what)
    return made


def check_classes(images: Images, folds: int, what: str) -> None:
    """Refuse images that are too few for so many folds.

    Raises:
        EyechartError: a class has fewer images than there are folds, or than 3.
    """
    sizes = np.bincount(images.labels, minlength=len(images.classes))
    there = np.flatnonzero(sizes)
    smallest = int(there[sizes[there].argmin()])
    # Images are counted, not groups of them, and val may still go without: `warn_of_gaps` names what is missing then.
    if sizes[smallest] < max(folds, 3):
        raise EyechartError(
            f"{what}: {folds} folds need at least {max(folds, 3)} images of every class; {images.classes[smallest]!r} "
            f"has {sizes[smallest]}. Take fewer folds or more images."
        )


def warn_of_gaps(data: Dataset, what: str) -> None:
    """Say, in a line each, which folds test what cannot be learnt, choose without a class, or learn from few images."""
    folds = parts(data)
    for one, other, text in _LACKS:
        lack = {number: _classes(part[one]) - _classes(part[other]) for number, part in folds.items()}
        if where := [number for number, missing in lack.items() if missing]:
            log.warning(text, what, _several(where), _several(sorted(set.union(*lack.values()))))
    learnt = {number: len(part["train"]) + len(part["val"]) for number, part in folds.items()}
    least = min(learnt, key=learnt.__getitem__)
    if learnt[least] < _FEW * np.mean(list(learnt.values())):
        log.warning(
            "%s: the folds are uneven (groups and copies stay together): fold %d learns from %d images and tests %d",
            what,
            least,
            learnt[least],
            len(folds[least]["test"]),
        )


def _named(whole: Images, number: int, chosen: dict[str, Int64[np.ndarray, " _"]]) -> Dataset:
    return {f"fold{number}/{split}": rows(whole, index) for split, index in chosen.items()}


def _seed(*stream: int) -> int:
    """Give a seed that differs between repeats, folds and seeds: seed + 1 would be another seed's next repeat."""
    return int(digest("folds", *stream)[:15], 16)


def _check_parts(data: Dataset, what: str) -> None:
    for number, part in parts(data).items():
        if empty := [split for split, images in part.items() if not len(images)]:
            raise EyechartError(
                f"{what}: fold {number} has no image in {' and '.join(empty)}: there are too few images, or too few "
                "groups of them, for so many folds. Take other folds, or more images."
            )


def _classes(images: Images) -> set[str]:
    return {images.classes[label] for label in np.unique(images.labels)}


def _several(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
