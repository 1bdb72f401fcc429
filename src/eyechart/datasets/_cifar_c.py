"""The corrupted versions of CIFAR: the test images, 19 times and in 5 severities, in NumPy's own files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from eyechart.datasets._binary import hashed
from eyechart.datasets._download import Archive, mend, obtain
from eyechart.errors import EyechartError
from eyechart.images.corruptions.profiles import COMMON, EXTRA
from eyechart.progress import progress
from eyechart.types import Dataset, Images

CORRUPTIONS = (*COMMON, *EXTRA)
_SEVERITIES = 5


def corrupted(archive: Archive, clean: Dataset, corruptions: str | Sequence[str], severities: Sequence[int]) -> Dataset:
    """Give the splits of a clean data set, and `test/<corruption>/<severity>` of a corrupted version of its test.

    Their images go by the ids of the clean ones. The files stay memory-mapped.

    Raises:
        EyechartError: there is no such corruption or severity, or a file is missing or another one.
    """
    wanted = _wanted(archive.folder, corruptions)
    _check_severities(archive.folder, severities)
    folder = obtain(archive)
    _check_labels(folder / "labels.npy", clean["test"], archive)
    data = dict(clean)
    with progress(f"looking at {archive.folder}", len(wanted), "files") as advance:
        for name in wanted:
            path = folder / f"{name}.npy"
            pixels = _array(path, (_SEVERITIES * len(clean["test"]), 32, 32, 3), archive)
            hashes = hashed(path, pixels)
            for severity in sorted(set(severities)):
                data[f"test/{name}/{severity}"] = _block(clean["test"], pixels, hashes, severity)
            advance(1)
    return data


def _wanted(what: str, corruptions: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(corruptions, str):
        return COMMON if corruptions == "common" else CORRUPTIONS
    if unknown := [name for name in corruptions if name not in CORRUPTIONS]:
        raise EyechartError(f"{what}: there is no corruption {unknown[0]!r}; there are {', '.join(CORRUPTIONS)}.")
    return tuple(name for name in CORRUPTIONS if name in corruptions)


def _check_severities(what: str, severities: Sequence[int]) -> None:
    if wrong := [one for one in severities if not 1 <= one <= _SEVERITIES]:
        raise EyechartError(f"{what}: severities are 1 to {_SEVERITIES}; got {wrong[0]}.")


def _check_labels(path: Path, test: Images, archive: Archive) -> None:
    """Raise EyechartError unless each severity holds the clean images in their order, as far as labels can tell."""
    found = _array(path, (_SEVERITIES * len(test),), archive)
    different = int((found != np.tile(test.labels, _SEVERITIES)).sum())
    if different:
        raise EyechartError(
            f"{path} differs from the labels of the clean test images at {different:,} of {len(found):,} places, so "
            f"the two sets do not belong together; {mend(archive)}"
        )


def _array(path: Path, shape: tuple[int, ...], archive: Archive) -> np.ndarray:
    if not path.is_file():
        raise EyechartError(f"there is no {path}; {mend(archive)}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EyechartError(f"{path} is damaged ({reason}); {mend(archive)}") from error
    if array.shape != shape or array.dtype.kind not in "iu" or (len(shape) > 1 and array.dtype != np.uint8):
        raise EyechartError(f"{path} holds {array.dtype} {array.shape} and must hold uint8 {shape}; {mend(archive)}")
    return np.asarray(array)


def _block(test: Images, pixels: np.ndarray, hashes: UInt8[np.ndarray, "n 32"], severity: int) -> Images:
    """Give the images of one severity: they follow each other in the file."""
    rows = slice((severity - 1) * len(test), severity * len(test))
    mine = pixels[rows]
    return Images(
        hashes=hashes[rows],
        load=partial(np.take, mine, axis=0),
        batch=partial(np.take, mine, axis=0),
        labels=test.labels,
        classes=test.classes,
        ids=test.ids,
    )
