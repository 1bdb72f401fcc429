"""Images made from arrays, from files, and from other images."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from eyechart.errors import EyechartError
from eyechart.images.fingerprints import hash_arrays, hash_files
from eyechart.images.reading import decode
from eyechart.types import Batch, Edit, Images, Pixels


def from_arrays(pixels: Batch, labels: Int[np.ndarray, " n"], *, classes: Sequence[str], ids: Sequence[str]) -> Images:
    """Give images held in memory (or memory-mapped), all of one size."""
    return Images(
        hashes=hash_arrays(pixels),
        load=lambda row: pixels[row],
        batch=lambda rows: pixels[rows],
        labels=np.asarray(labels, dtype=np.int64),
        classes=tuple(classes),
        ids=tuple(ids),
    )


def from_files(
    root: Path,
    paths: Sequence[str],
    labels: Int[np.ndarray, " n"],
    *,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
) -> Images:
    """Give images in files below `root`. Their ids are the paths below it, so that moving the root changes no key."""
    hashes = hash_files(root, paths)

    def load(row: int) -> Pixels:
        path = root / paths[row]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise EyechartError(f"cannot read {path}: {error.strerror}. It was there when the run began.") from error
        # Other pixels under the hash of these would stay in the store for good.
        if hashlib.sha256(content).digest() != hashes[row].tobytes():
            raise EyechartError(f"{path} changed while the run was going on; run again.")
        return decode(content)

    return Images(
        hashes=hashes,
        load=load,
        labels=np.asarray(labels, dtype=np.int64),
        classes=tuple(classes),
        ids=tuple(paths),
        groups=None if groups is None else tuple(groups),
    )


def rows(images: Images, chosen: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> Images:
    """Give some of the images. Their embeddings are rows of the whole's, so nothing is embedded twice."""
    index = np.arange(len(images))[chosen]
    whole = images.batch
    return dataclasses.replace(
        images,
        hashes=images.hashes[index],
        load=lambda row: images.load(int(index[row])),
        batch=None if whole is None else lambda wanted: whole(index[wanted]),
        labels=images.labels[index],
        ids=tuple(images.ids[i] for i in index),
        groups=None if images.groups is None else tuple(images.groups[i] for i in index),
        base=images if images.rows is None else images.base,
        rows=index if images.rows is None else images.rows[index],
        edit=None,
    )


def detached(images: Images) -> Images:
    """Give the same images as a source of their own: embedding them embeds nothing else of where they came from."""
    return dataclasses.replace(images, base=None, rows=None) if images.rows is not None else images


def edited(images: Images, edit: Edit) -> Images:
    """Give the images with their pixels changed: another pixels_key, the same labels and ids."""
    whole = images.batch

    def load(row: int) -> Pixels:
        return edit([images.load(row)], images.hashes[row : row + 1])[0]

    return dataclasses.replace(
        images,
        hashes=_changed(images.hashes, edit.key),
        load=load,
        batch=None
        if whole is None
        else lambda wanted: np.stack(list(edit(list(whole(wanted)), images.hashes[wanted]))),
        base=images,
        rows=None,
        edit=edit,
    )


def _changed(hashes: UInt8[np.ndarray, "n 32"], key: str) -> UInt8[np.ndarray, "n 32"]:
    """Mark content as edited, so that no row of an edited view is taken for the row it was made from.

    Turned by a byte first, so that the same edits in another order leave another mark.
    """
    mark = np.frombuffer(hashlib.sha256(key.encode()).digest(), np.uint8)
    return np.roll(hashes, 1, axis=1) ^ mark
