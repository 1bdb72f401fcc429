"""CIFAR-10, exact: the official binary files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyechart.datasets._binary import check_even, held_out, mapped, read_names, stacked
from eyechart.datasets._download import Archive, mend, obtain, pickled
from eyechart.datasets._official import check_seed
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

ARCHIVE = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    checksum="md5:c32a1d4ab5d03f1284b67883e8d87530",
    folder="cifar-10-batches-bin",
    layout="data_batch_1.bin to data_batch_5.bin, test_batch.bin, batches.meta.txt",
    megabytes=170,
)
PER_FILE = 10_000  # images
_TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
_TEST = ["test_batch.bin"]
# A byte for the class, then 32 x 32 bytes of red, of green and of blue.
_RECORD = np.dtype([("label", np.uint8), ("planes", np.uint8, (3, 32, 32))])


def cifar10(*, seed: int = 42) -> Dataset:
    """60,000 color images of 32 x 32 pixels in 10 classes: 45,000 train, 5,000 val, the official 10,000 test.

    val is drawn from the official 50,000, 500 of each class, exactly as scikit-learn's
    StratifiedShuffleSplit(n_splits=1, test_size=5000, random_state=seed) draws it; both keep the official order. Ids
    are the official positions, train/00000 to train/49999 and test/00000 to test/09999.

    Found in the data folder as cifar-10-batches-bin or cifar-10-binary.tar.gz, else downloaded there (170 MB). The
    version for Python is not read, because it is pickled, and unpickling a file can run code.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (no license stated).
    """
    check_seed("cifar10", seed)
    folder = obtain(ARCHIVE, hint=pickled(ARCHIVE, "cifar-10-batches-py", "cifar-10-python.tar.gz"))
    classes = read_names(folder / "batches.meta.txt", 10, mend(ARCHIVE))
    train = _images("train", [folder / name for name in _TRAIN], classes)
    val = held_out(train.labels, seed)
    return {
        "train": rows(train, np.setdiff1d(np.arange(len(train)), val)),
        "val": rows(train, val),
        "test": _images("test", [folder / name for name in _TEST], classes),
    }


def _images(split: str, paths: Sequence[Path], classes: Sequence[str]) -> Images:
    """Give the images of some files, one after the other."""
    records = [mapped(path, _RECORD, PER_FILE, mend(ARCHIVE)) for path in paths]
    labels = np.concatenate([part["label"] for part in records]).astype(np.int64)
    check_even(labels, len(classes), f"{paths[0].parent}: {', '.join(path.name for path in paths)}", mend(ARCHIVE))
    return stacked(
        [(path, part["planes"].transpose(0, 2, 3, 1)) for path, part in zip(paths, records, strict=True)],
        labels,
        classes=classes,
        ids=[f"{split}/{row:05d}" for row in range(len(labels))],
    )
