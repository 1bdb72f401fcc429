"""CIFAR-10, exact: the official binary files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart import settings
from eyechart.datasets._download import Archive, obtain
from eyechart.errors import EyechartError
from eyechart.images.fingerprints import hash_arrays
from eyechart.images.views import rows
from eyechart.types import Batch, Dataset, Images, Pixels

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
_RECORD = np.dtype([("label", np.uint8), ("planes", np.uint8, (3, 32, 32))])
_VAL = 10  # one training image in so many is held out


def cifar10(*, seed: int = 42) -> Dataset:
    """60,000 color images of 32 x 32 pixels in 10 classes: 45,000 train, 5,000 val, the official 10,000 test.

    val is drawn from the official 50,000, 500 of each class, exactly as scikit-learn's
    StratifiedShuffleSplit(n_splits=1, test_size=5000, random_state=seed) draws it; both keep the official order. Ids
    are the official positions, train/00000 to train/49999 and test/00000 to test/09999.

    Found in the data folder as cifar-10-batches-bin or cifar-10-binary.tar.gz, else downloaded there (170 MB). The
    version for Python is not read, because it is pickled, and unpickling a file can run code.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (no license stated).
    """
    if not 0 <= seed < 2**32:
        raise EyechartError(f"cifar10: seed must be between 0 and 4294967295; got {seed}.")
    folder = obtain(ARCHIVE, hint=_hint(settings.active().data))
    classes = _class_names(folder / "batches.meta.txt")
    train = _images("train", [folder / name for name in _TRAIN], classes)
    val = _held_out(train.labels, len(classes), seed)
    return {
        "train": rows(train, np.setdiff1d(np.arange(len(train)), val)),
        "val": rows(train, val),
        "test": _images("test", [folder / name for name in _TEST], classes),
    }


def _hint(data: Path) -> str:
    for name in ("cifar-10-batches-py", "cifar-10-python.tar.gz"):
        if (data / name).exists():
            return (
                f"{data / name} is not read, because it is pickled and unpickling can run code; "
                f"get the binary version, {ARCHIVE.name}."
            )
    return ""


def _class_names(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise EyechartError(f"there is no {path}; {_mend(path.parent)}")
    names = tuple(path.read_text(encoding="utf-8", errors="replace").split())
    if len(set(names)) != 10:
        raise EyechartError(
            f"{path} must name the 10 classes, one on each line; it has {len(names)}. {_mend(path.parent)}"
        )
    return names


def _mend(folder: Path) -> str:
    return f"the folder must hold {ARCHIVE.layout}. Delete {folder}, and the next run unpacks or downloads it again."


def _images(split: str, paths: Sequence[Path], classes: Sequence[str]) -> Images:
    """Give the images of some files, one after the other. The files stay memory-mapped: no pixel is held."""
    records = [_records(path) for path in paths]
    parts = [part["planes"].transpose(0, 2, 3, 1) for part in records]
    labels = np.concatenate([part["label"] for part in records]).astype(np.int64)
    _check_labels(paths, labels, len(classes))

    def batch(wanted: Int64[np.ndarray, " b"]) -> Batch:
        pixels = np.empty((len(wanted), *parts[0].shape[1:]), np.uint8)
        for number, part in enumerate(parts):
            mine = wanted // len(part) == number
            pixels[mine] = part[wanted[mine] % len(part)]
        return pixels

    def load(row: int) -> Pixels:
        return batch(np.array([row]))[0]

    return Images(
        hashes=np.concatenate([hash_arrays(part) for part in parts]),
        load=load,
        batch=batch,
        labels=labels,
        classes=tuple(classes),
        ids=tuple(f"{split}/{row:05d}" for row in range(len(labels))),
    )


def _records(path: Path) -> np.ndarray:
    """Map a file of records: a byte for the class, then 32 x 32 bytes of red, of green and of blue."""
    size = path.stat().st_size if path.is_file() else None
    expected = PER_FILE * _RECORD.itemsize
    if size != expected:
        found = "is missing" if size is None else f"has {size:,} bytes"
        raise EyechartError(f"{path} {found} (it should have {expected:,}); {_mend(path.parent)}")
    return np.asarray(np.memmap(path, dtype=_RECORD, mode="r"))


def _check_labels(paths: Sequence[Path], labels: Int64[np.ndarray, " n"], classes: int) -> None:
    counts = np.bincount(labels, minlength=classes)
    if len(counts) > classes or (counts != len(labels) // classes).any():
        raise EyechartError(
            f"{paths[0].parent}: {', '.join(path.name for path in paths)} must hold equally many images of each of the "
            f"{classes} classes; got {', '.join(map(str, counts[:classes]))} and {counts[classes:].sum()} of others. "
            f"{_mend(paths[0].parent)}"
        )


def _held_out(labels: Int64[np.ndarray, " n"], classes: int, seed: int) -> Int64[np.ndarray, " v"]:
    """Give the rows StratifiedShuffleSplit holds out of equally large classes, in ascending order.

    For these it shuffles each class in turn and takes the last tenth. Doing so here saves 1.3 s of importing
    scikit-learn in every run, and the legacy generator's numbers are frozen for good (NumPy's NEP 19).
    """
    generator = np.random.RandomState(seed)
    held_out = []
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        shuffled = members[generator.permutation(len(members))]
        held_out.append(shuffled[len(members) - len(members) // _VAL :])
    return np.sort(np.concatenate(held_out))
