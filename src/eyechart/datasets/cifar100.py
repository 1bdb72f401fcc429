"""CIFAR-100, exact: the official binary files."""

from pathlib import Path

import numpy as np

from eyechart.datasets._binary import check_even, held_out, mapped, read_names, stacked
from eyechart.datasets._download import Archive, mend, obtain, pickled
from eyechart.datasets._official import check_seed
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

ARCHIVE = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    checksum="md5:03b5dce01913d631647c71ecec9e9cb8",
    folder="cifar-100-binary",
    layout="train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt",
    megabytes=169,
)
TRAIN, TEST = 50_000, 10_000  # images
FINE, COARSE = 100, 20  # classes
# A byte for the coarse class, one for the fine, then 32 x 32 bytes of red, of green and of blue.
_RECORD = np.dtype([("coarse", np.uint8), ("fine", np.uint8), ("planes", np.uint8, (3, 32, 32))])


def cifar100(*, coarse: bool = False, seed: int = 42) -> Dataset:
    """60,000 color images of 32 x 32 pixels in 100 classes: 45,000 train, 5,000 val, the official 10,000 test.

    val is drawn from the official 50,000, 50 of each class, exactly as scikit-learn's
    StratifiedShuffleSplit(n_splits=1, test_size=5000, random_state=seed) draws it; both keep the official order. Ids
    are the official positions, train/00000 to train/49999 and test/00000 to test/09999.

    `coarse=True` gives the 20 superclasses as labels, of the same images in the same splits.

    Found in the data folder as cifar-100-binary or cifar-100-binary.tar.gz, else downloaded there (169 MB). The version
    for Python is not read, because it is pickled, and unpickling a file can run code.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (no license stated).
    """
    check_seed("cifar100", seed)
    folder = obtain(ARCHIVE, hint=pickled(ARCHIVE, "cifar-100-python", "cifar-100-python.tar.gz"))
    records = {
        split: mapped(folder / f"{split}.bin", _RECORD, count, mend(ARCHIVE))
        for split, count in (("train", TRAIN), ("test", TEST))
    }
    fine = records["train"]["fine"].astype(np.int64)
    check_even(fine, FINE, str(folder / "train.bin"), mend(ARCHIVE))
    kind, number = ("coarse", COARSE) if coarse else ("fine", FINE)
    classes = read_names(folder / f"{kind}_label_names.txt", number, mend(ARCHIVE))
    train, test = (_images(folder / f"{split}.bin", part, kind, classes) for split, part in records.items())
    val = held_out(fine, seed)
    return {"train": rows(train, np.setdiff1d(np.arange(len(train)), val)), "val": rows(train, val), "test": test}


def _images(path: Path, records: np.ndarray, kind: str, classes: tuple[str, ...]) -> Images:
    labels = records[kind].astype(np.int64)
    check_even(labels, len(classes), str(path), mend(ARCHIVE))
    ids = [f"{path.stem}/{row:05d}" for row in range(len(labels))]
    return stacked([(path, records["planes"].transpose(0, 2, 3, 1))], labels, classes=classes, ids=ids)
