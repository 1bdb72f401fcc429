"""The corrupted versions of CIFAR: the test images, 19 times and in 5 severities, in NumPy's own files."""

import math
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from eyechart import settings
from eyechart.datasets._binary import hashed
from eyechart.datasets._corrupted import Asked, split_of, those_there
from eyechart.datasets._download import Archive, mend, obtain
from eyechart.errors import EyechartError
from eyechart.images.corruptions import MANIFEST
from eyechart.images.corruptions.profiles import SEVERITIES
from eyechart.progress import log, progress
from eyechart.types import Dataset, Images

_STEPS = len(SEVERITIES)
_SHAPE = (32, 32, 3)
_HEADER = 128  # bytes before the numbers in the official files
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".incomplete")  # of browsers and the like


def corrupted(archive: Archive, clean: Dataset, asked: Asked) -> Dataset:
    """Give the splits of a clean data set, and `test/<corruption>/<severity>` of a corrupted version of its test.

    Their images go by the ids of the clean ones. The files stay memory-mapped. Corruptions whose file is not there are
    named in a warning and left out, unless they were asked for by name.

    Raises:
        Unavailable: no file of what was asked for is there, or one that was asked for by name is not.
        EyechartError: a file is damaged or another one, or the labels are missing or others.
    """
    folder, test = obtain(archive, hint=unfinished(archive)), clean["test"]
    there = {cell for cell in asked.cells if _path(folder, cell[0]).is_file()}
    found = those_there(asked, there, where=f"{folder}/<corruption>.npy", mend=_sentence(mend(archive)))
    _check_labels(folder / "labels.npy", test, archive)
    if (folder / MANIFEST).is_file():
        log.warning("%s was made by `eyechart corrupt`: numbers are not those of the published files.", folder)
    data, names = dict(clean), list(dict.fromkeys(name for name, _ in found))
    with progress(f"looking at {archive.folder}", len(names), "files") as advance:
        for name in names:
            pixels = _pixels(_path(folder, name), len(test), archive)
            hashes = hashed(_path(folder, name), pixels)
            data |= {split_of(cell): _block(test, pixels, hashes, cell[1]) for cell in found if cell[0] == name}
            advance(1)
    return data


def unfinished(archive: Archive) -> str:
    """Give a sentence about a download of the archive that another program began and did not end; "" for none."""
    beside = (settings.active().data / archive.folder).with_name(archive.name)
    for path in (beside.with_name(beside.name + suffix) for suffix in _UNFINISHED):
        if path.exists():
            size = f" ({path.stat().st_size / 1e6:,.1f} of {archive.megabytes:,} MB)" if path.is_file() else ""
            return f"{path}{size} is a download that did not end, and is not read; let it end, or delete it."
    return ""


def _path(folder: Path, corruption: str) -> Path:
    return folder / f"{corruption}.npy"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check_labels(path: Path, test: Images, archive: Archive) -> None:
    """Raise EyechartError unless each severity holds the clean images in their order, as far as labels can tell."""
    if not path.is_file():
        raise EyechartError(
            f"there is no {path}, which tells whether the corrupted images are those of the clean test, in their "
            f"order; {mend(archive)}"
        )
    found, n = _mapped(path, _STEPS * len(test), archive), len(test)
    if found.shape not in {(n,), (_STEPS * n,)} or found.dtype.kind not in "iu":
        raise EyechartError(
            f"{path} holds {found.dtype} {found.shape} and must hold the labels of the {n:,} test images, once or for "
            f"each of the {_STEPS} severities (integers, {n:,} or {_STEPS * n:,}); {mend(archive)}"
        )
    if different := int((found != np.tile(test.labels, len(found) // n)).sum()):
        raise EyechartError(
            f"{path} differs from the labels of the clean test images at {different:,} of {len(found):,} places, so "
            f"the two sets do not belong together; {mend(archive)}"
        )


def _pixels(path: Path, n: int, archive: Archive) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Give the images of one corruption, n of each severity."""
    shape = (_STEPS * n, *_SHAPE)
    found = _mapped(path, math.prod(shape), archive)
    if found.shape != shape or found.dtype != np.uint8:
        alone = " What is there may be one severity alone." if found.shape == (n, *_SHAPE) else ""
        raise EyechartError(
            f"{path} holds {found.dtype} {found.shape} and must hold uint8 {shape}, {_STEPS} severities of {n:,} "
            f"images, the mildest first; {mend(archive)}{alone}"
        )
    return found


def _mapped(path: Path, numbers: int, archive: Archive) -> np.ndarray:
    """Give the array of a file without reading it. The official one has so many numbers, a byte each."""
    try:
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))  # never a pickle
    except OSError as error:
        raise EyechartError(f"cannot read {path}: {error.strerror or type(error).__name__}.") from error
    except (ValueError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise EyechartError(
            f"{path} is damaged or cut off ({reason}): it has {path.stat().st_size:,} bytes, the official file "
            f"{numbers + _HEADER:,}; {mend(archive)}"
        ) from error


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
