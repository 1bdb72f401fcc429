"""Images in binary files of equally sized ones. The files stay memory-mapped: no pixel is held."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from eyechart.errors import EyechartError
from eyechart.images.fingerprints import hash_arrays, remembered
from eyechart.types import Batch, Images, Pixels


def mapped(path: Path, kind: np.dtype, count: int, mend: str) -> np.ndarray:
    """Give the records of a file without reading it.

    Args:
        path: the file.
        kind: the type of a record.
        count: how many there must be.
        mend: a sentence for the error, how to get the right file.

    Raises:
        EyechartError: the file is missing, or has another size.
    """
    size = path.stat().st_size if path.is_file() else None
    expected = count * kind.itemsize
    if size != expected:
        found = "is missing" if size is None else f"has {size:,} bytes"
        raise EyechartError(f"{path} {found} (it should have {expected:,}); {mend}")
    return np.asarray(np.memmap(path, dtype=kind, mode="r"))


def read_names(path: Path, number: int, mend: str) -> tuple[str, ...]:
    """Give the names of classes that a file has, one on each line.

    Raises:
        EyechartError: it is missing, or there are more or fewer.
    """
    if not path.is_file():
        raise EyechartError(f"there is no {path}; {mend}")
    names = tuple(path.read_text(encoding="utf-8", errors="replace").split())
    if len(names) != number or len(set(names)) != number:
        raise EyechartError(f"{path} must name the {number} classes, one on each line; it has {len(names)}. {mend}")
    return names


def stacked(
    parts: Sequence[tuple[Path, UInt8[np.ndarray, "_ h w 3"]]],
    labels: Int64[np.ndarray, " n"],
    *,
    classes: Sequence[str],
    ids: Sequence[str],
) -> Images:
    """Give the images of some files, equally many in each, one file after the other.

    Args:
        parts: the files, and what is in them as uint8 [m, h, w, 3].
        labels: of all of them.
        classes: the names of the classes.
        ids: of all of them.
    """
    pixels = [part for _, part in parts]

    def batch(wanted: Int64[np.ndarray, " b"]) -> Batch:
        made = np.empty((len(wanted), *pixels[0].shape[1:]), np.uint8)
        for number, part in enumerate(pixels):
            mine = wanted // len(part) == number
            made[mine] = part[wanted[mine] % len(part)]
        return made

    def load(row: int) -> Pixels:
        return batch(np.array([row]))[0]

    return Images(
        hashes=np.concatenate([hashed(path, part) for path, part in parts]),
        load=load,
        batch=batch,
        labels=labels,
        classes=tuple(classes),
        ids=tuple(ids),
    )


def hashed(path: Path, pixels: Batch) -> UInt8[np.ndarray, "n 32"]:
    """Give the content hashes of the images in a file; of a file that was looked at before, from the cache."""
    found = remembered([path], f"images {pixels.shape} {pixels.strides}", lambda: hash_arrays(pixels).tobytes())
    return np.frombuffer(found, dtype=np.uint8).reshape(len(pixels), 32)


def check_even(labels: Int64[np.ndarray, " n"], classes: int, what: str, mend: str) -> None:
    """Raise EyechartError unless there are equally many of each class and none of others."""
    counts = np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)
    if (counts != len(labels) // classes).any():
        some = ", ".join(map(str, counts[:10])) + (", ..." if classes > 10 else "")
        raise EyechartError(
            f"{what} must hold equally many images of each of the {classes} classes; got {some} and "
            f"{len(labels) - counts.sum()} of others. {mend}"
        )


def held_out(labels: Int64[np.ndarray, " n"], seed: int, *, one_in: int = 10) -> Int64[np.ndarray, " v"]:
    """Give the rows StratifiedShuffleSplit holds out of equally large classes, in ascending order.

    For these it shuffles each class in turn and takes the last tenth. Doing so here saves 1.3 s of importing
    scikit-learn in every run, and the legacy generator's numbers are frozen for good (NumPy's NEP 19).
    """
    generator = np.random.RandomState(seed)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        shuffled = members[generator.permutation(len(members))]
        chosen.append(shuffled[len(members) - len(members) // one_in :])
    return np.sort(np.concatenate(chosen))
