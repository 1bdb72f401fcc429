"""STL-10: the official binary files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._binary import check_even, mapped, read_names, stacked
from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._official import check_drawing, with_val
from eyechart.errors import EyechartError
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

PART_OF = ("imagenet",)
ARCHIVE = Archive(
    url="http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
    checksum="md5:91f7769df0f17e558f3565bffb0c7dfb",
    folder="stl10_binary",
    layout="train_X.bin, train_y.bin, test_X.bin, test_y.bin, class_names.txt; for fold= also fold_indices.txt, for "
    "unlabeled=True also unlabeled_X.bin",
    megabytes=2640,
)
TRAIN, TEST, UNLABELED = 5_000, 8_000, 100_000  # images
FOLDS, PER_FOLD = 10, 1_000
_CLASSES = 10
_PLANES = np.dtype((np.uint8, (3, 96, 96)))  # red, green and blue, each column by column


def stl10(*, fold: int | None = None, unlabeled: bool = False, val: float = 0.1, seed: int = 42) -> Dataset:
    """13,000 color images of 96 x 96 pixels in 10 classes: 4,500 train, 500 val, the official 8,000 test.

    val is the share `val` of each class of the official 5,000, drawn with `seed`. `fold=0` to `fold=9` learns from one
    of the ten official folds of 1,000 images instead, val included; the mean of all ten is what the source reports.
    All are rows of the same 5,000, which are embedded once.

    `unlabeled=True` adds the split unlabeled: 100,000 images of these and other classes, whose labels are -1. Tasks
    do not look at it; what embeds every split, such as `eyechart embed`, embeds it.

    Ids are the official positions, train/0000 to train/4999, test/0000 to test/7999, unlabeled/00000 to
    unlabeled/99999. Found in the data folder as stl10_binary or stl10_binary.tar.gz, else downloaded there (2.6 GB).

    Source: A. Coates, H. Lee and A. Y. Ng, An Analysis of Single-Layer Networks in Unsupervised Feature Learning,
    AISTATS 2011. The images are from ImageNet (no license stated).
    """
    check_drawing("stl10", val, seed)
    if fold is not None and not 0 <= fold < FOLDS:
        raise EyechartError(f"stl10: fold must be between 0 and {FOLDS - 1}; got {fold}.")
    folder = obtain(ARCHIVE)
    classes = read_names(folder / "class_names.txt", _CLASSES, mend(ARCHIVE))
    train = _labeled(folder, "train", TRAIN, classes)
    if fold is not None:
        train = rows(train, _fold(folder / "fold_indices.txt", fold))
    data = with_val({"train": train, "test": _labeled(folder, "test", TEST, classes)}, val=val, seed=seed)
    if unlabeled:
        nothing = np.full(UNLABELED, -1, dtype=np.int64)
        data["unlabeled"] = _images(folder / "unlabeled_X.bin", nothing, classes, "unlabeled")
    return data


def _labeled(folder: Path, split: str, count: int, classes: Sequence[str]) -> Images:
    path = folder / f"{split}_y.bin"
    labels = mapped(path, np.dtype(np.uint8), count, mend(ARCHIVE)).astype(np.int64) - 1
    check_even(labels, _CLASSES, str(path), mend(ARCHIVE))
    return _images(folder / f"{split}_X.bin", labels, classes, split)


def _images(path: Path, labels: Int64[np.ndarray, " n"], classes: Sequence[str], split: str) -> Images:
    pixels = mapped(path, _PLANES, len(labels), mend(ARCHIVE)).transpose(0, 3, 2, 1)
    digits = len(str(len(labels) - 1))
    ids = [f"{split}/{row:0{digits}d}" for row in range(len(labels))]
    return stacked([(path, pixels)], labels, classes=classes, ids=ids)


def _fold(path: Path, fold: int) -> Int64[np.ndarray, " f"]:
    """Give the rows of one of the official folds, ascending."""
    if not path.is_file():
        raise EyechartError(f"there is no {path}; {mend(ARCHIVE)}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = lines[fold].split() if len(lines) > fold else []
    found = sorted({int(word) for word in words if word.isdigit() and int(word) < TRAIN})
    if len(found) != PER_FOLD or len(words) != PER_FOLD:
        raise EyechartError(
            f"{path}, line {fold + 1} must have {PER_FOLD} different numbers from 0 to {TRAIN - 1}; it has "
            f"{len(found)} among {len(words)} words; {mend(ARCHIVE)}"
        )
    return np.array(found, dtype=np.int64)
