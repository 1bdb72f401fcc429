"""Images as people hold them in Python: paths, Pillow images, arrays, mixed as they come."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from eyechart.errors import EyechartError
from eyechart.images.fingerprints import hash_arrays, hash_files
from eyechart.images.reading import Unreadable, decode, upright_rgb
from eyechart.types import Images, Pixels

Item: TypeAlias = Path | np.ndarray | Image.Image
_ALLOWED = "images are paths, Pillow images, or uint8 arrays [h, w, 3] or [h, w]"


class Distinct(NamedTuple):
    """Images without repetitions, in the order of their content hashes, and which of them each one given is."""

    images: Images
    place: Int64[np.ndarray, " n"]


def items_of(images: Any) -> list[Item]:
    """Give the images of a list, an array or a table of one column one by one.

    Raises:
        EyechartError: one of them, or what holds them, is something else.
    """
    if isinstance(images, str | os.PathLike | Image.Image):
        raise EyechartError(f"images come in a list; put {images!r} into one.")
    if hasattr(images, "columns"):
        if len(images.columns) != 1:
            raise EyechartError(f"a table of images must have one column; got {len(images.columns)}.")
        images = images[images.columns[0]]
    if isinstance(images, np.ndarray):
        images = _unstacked(images)
    try:
        listed = list(images)
    except TypeError as error:
        raise EyechartError(f"images come in a list or an array; got {type(images).__name__}.") from error
    return [_item(value, number) for number, value in enumerate(listed)]


def _unstacked(images: np.ndarray) -> np.ndarray:
    """Check an array that holds all of them."""
    if images.dtype.kind in "OUT" or images.size == 0:
        return images[:, 0] if images.ndim == 2 and images.shape[1] == 1 else images
    color = images.ndim == 4 and images.shape[3] == 3
    gray = images.ndim == 3 and images.shape[2] != 3
    if not color and not gray:
        single = " One image [h, w, 3] goes into a list." if images.ndim == 3 else ""
        raise EyechartError(f"an array of images is uint8 [n, h, w, 3] or [n, h, w]; got {images.shape}.{single}")
    return images


def _item(value: Any, number: int) -> Item:
    if isinstance(value, str | os.PathLike):
        return Path(os.fspath(value)).expanduser()
    if isinstance(value, Image.Image):
        return value
    if not isinstance(value, np.ndarray):
        raise EyechartError(f"image {number} is {type(value).__name__}; {_ALLOWED}.")
    if value.dtype != np.uint8:
        raise EyechartError(
            f"image {number} is {value.dtype}; arrays must be uint8, from 0 to 255. Values between 0 and 1 become that "
            "by (255 * x).round().astype(numpy.uint8)."
        )
    if 0 in value.shape or not (value.ndim == 2 or (value.ndim == 3 and value.shape[2] == 3)):
        raise EyechartError(f"image {number} has the shape {value.shape}; {_ALLOWED}.")
    return value


def distinct(items: Sequence[Item]) -> Distinct:
    """Give every content once. Files that were looked at before are not read again for that.

    Raises:
        EyechartError: a file is not there, or a Pillow image cannot be read.
    """
    hashes = _hashes(items)
    _, first, place = np.unique(hashes.view("V32").ravel(), return_index=True, return_inverse=True)
    chosen, content = [items[i] for i in first], hashes[first]
    names = tuple(_name(items[i], int(i)) for i in first)

    def load(row: int) -> Pixels:
        item = chosen[row]
        return _decoded(item, content[row].tobytes()) if isinstance(item, Path) else _pixels(item, names[row])

    images = Images(hashes=content, load=load, labels=np.zeros(len(first), np.int64), classes=("none",), ids=names)
    return Distinct(images, place)


def _hashes(items: Sequence[Item]) -> UInt8[np.ndarray, "n 32"]:
    hashes = np.zeros((len(items), 32), np.uint8)
    folders: dict[Path, list[tuple[int, str]]] = {}
    for number, item in enumerate(items):
        if isinstance(item, Path):
            folders.setdefault(item.parent, []).append((number, item.name))
        else:
            hashes[number] = hash_arrays(_pixels(item, _name(item, number))[None])[0]
    for folder, files in folders.items():
        hashes[[number for number, _ in files]] = hash_files(folder, [name for _, name in files])
    return hashes


def _name(item: Item, number: int) -> str:
    return str(item) if isinstance(item, Path) else f"image {number}"


def _pixels(item: np.ndarray | Image.Image, name: str) -> Pixels:
    if isinstance(item, np.ndarray):
        return np.repeat(item[..., None], 3, axis=2) if item.ndim == 2 else item
    try:
        return upright_rgb(item)
    except (Unreadable, OSError, ValueError, SyntaxError) as error:
        raise EyechartError(f"{name} cannot be read: {' '.join(str(error).split())}.") from error


def _decoded(path: Path, content_hash: bytes) -> Pixels:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EyechartError(f"cannot read {path}: {error.strerror}.") from error
    if hashlib.sha256(content).digest() != content_hash:
        raise EyechartError(f"{path} changed while it was being embedded; try again.")
    return decode(content)
