"""The splits of a folder: as it states them, and drawn from train where it states none."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from eyechart.datasets._listing import File
from eyechart.errors import EyechartError
from eyechart.images import folds
from eyechart.images.splits import draw
from eyechart.images.views import detached, from_files, rows
from eyechart.types import Dataset, Images

log = logging.getLogger("eyechart")
_ADVISED = ContextVar("_ADVISED", default=True)
_FEW = 2000  # images: below that, a drawn test split is so small that its luck hides most differences


def declared(root: Path, files: Sequence[File], classes: Sequence[str]) -> Dataset:
    """Give the splits as the folder states them; without any, everything is train.

    Raises:
        EyechartError: some images have a split and others have none.
    """
    position = {name: index for index, name in enumerate(classes)}
    with_split = [file for file in files if file.split is not None]
    if with_split and len(with_split) < len(files):
        missing = next(file for file in files if file.split is None)
        raise EyechartError(f"{root / 'metadata.csv'}: {missing.path} has no split, though others have one.")
    splits: dict[str, list[File]] = {}
    for file in files:
        splits.setdefault(file.split or "train", []).append(file)
    return {
        split: by_content(
            from_files(
                root,
                [file.path for file in members],
                np.array([position[file.label] for file in members]),
                classes=classes,
                groups=[file.group or "" for file in members] if any(file.group for file in members) else None,
            )
        )
        for split, members in splits.items()
    }


def by_content(images: Images) -> Images:
    """Put images in an order that moving a file to another class or renaming a folder does not change.

    So a corrected label keeps the key of the pixels, and nothing is embedded again.
    """
    by_id = np.array(sorted(range(len(images)), key=images.ids.__getitem__))
    words = images.hashes[by_id].view(">u8")  # compared as the bytes are, and ten times as fast
    return detached(rows(images, by_id[np.lexsort(words.T[::-1])]))


def with_drawn(data: Dataset, root: Path, shares: dict[str, float], seed: int) -> Dataset:
    """Give the splits with those that are missing drawn from train.

    Raises:
        EyechartError: there are too few images to draw from.
    """
    if "train" not in data:
        return data
    if "val" in data and "test" not in data:
        log.info("%s has val but no test: its val is used as test, and a new val is drawn from train", root)
        data = {("test" if split == "val" else split): images for split, images in data.items()}
    lacking = {split: share for split, share in shares.items() if split not in data}
    if not lacking:
        return data
    # Drawn in the order of the paths: a changed pixel moves an image among the contents, but not into another split.
    paths = data["train"].ids
    whole = rows(data["train"], np.array(sorted(range(len(paths)), key=paths.__getitem__)))
    drawn = draw(whole, {"train": 1 - sum(lacking.values())} | lacking, seed=seed)
    _check_drawn(whole, drawn, root)
    parts = {split: rows(whole, chosen) for split, chosen in drawn.items()}
    ordered = {split: parts.get(split) or data[split] for split in ("train", "val", "test")}
    return ordered | {split: images for split, images in data.items() if split not in ordered}


def in_folds(data: Dataset, root: Path, number: int, *, repeats: int, val: float, seed: int) -> Dataset:
    """Give the splits of so many folds, for a folder that states no splits.

    Raises:
        EyechartError: it states some, or there are too few images.
    """
    if stated := [split for split in data if split != "train"]:
        raise EyechartError(
            f"{root} states {' and '.join(stated)}, so there is nothing left for cross-validation to test; leave out "
            f"folds={number}, or give a folder without splits."
        )
    return folds.cut(data["train"], folds=number, repeats=repeats, val=val, seed=seed, what=str(root))


@contextlib.contextmanager
def without_advice() -> Iterator[None]:
    """Within the block folds are not advised: what is made of other sets takes none that is cut."""
    token = _ADVISED.set(False)
    try:
        yield
    finally:
        _ADVISED.reset(token)


def advise_folds(data: Dataset, root: Path) -> None:
    """Say that folds would test more images, where there are few and none of them must be test."""
    if not _ADVISED.get():
        return
    n = len(data["train"]) if set(data) == {"train"} else _FEW
    if n < _FEW:
        log.info(
            "%s has only %d images, and test gets few of them: folds=5 tests every image, by cross-validation",
            root,
            n,
        )


def warn_of_untaught(data: Dataset, what: str) -> None:
    """Name the classes of val and test that train has not."""
    if "train" not in data:
        return
    taught = set(data["train"].labels.tolist())
    for split in ("val", "test"):
        if split in data and (missing := sorted(set(data[split].labels.tolist()) - taught)):
            named = ", ".join(data[split].classes[label] for label in missing[:5])
            log.warning("%s: %s has classes that train has not, so they cannot be learnt: %s", what, split, named)


def _check_drawn(whole: Images, drawn: dict[str, np.ndarray], root: Path) -> None:
    empty = [split for split, chosen in drawn.items() if not len(chosen)]
    if empty:
        raise EyechartError(
            f"{root} has {len(whole)} images in train, too few to draw {' and '.join(empty)} from; a handful per class "
            "is the least."
        )
