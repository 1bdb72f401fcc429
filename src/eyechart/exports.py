"""Embeddings for other programs: `eyechart embed`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import adopt, settings
from eyechart.datasets._copies import warn_of_copies
from eyechart.datasets._drawing import without_advice
from eyechart.embedding.derived import embed_any
from eyechart.embedding.embed import name_left_out
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.soundness import doubt
from eyechart.errors import EyechartError
from eyechart.files import as_path, write_bytes, write_json, writing
from eyechart.images.folds import parts
from eyechart.images.splits import as_limit, limited
from eyechart.types import Dataset, Embeddings

log = logging.getLogger("eyechart")


def embed(
    encoder: Any, data: Any, *, out: str | Path | None = None, limit: int | None = None, **flags: Any
) -> dict[str, Embeddings]:
    """Embed every split of a data set, from the store where it is there, and give the embeddings by split.

    A warning says where embeddings are all the same, have collapsed, or are nothing but zeros.

    Args:
        encoder: a spec or an Encoder.
        data: a spec, a path, or a dict of Images.
        out: a folder to write to: `x.npy` (float32 [n, d], all splits below each other), one line for each row in
            `ids.txt`, `labels.txt`, `splits.txt` and `hashes.txt` (of the image's content), and `about.json`.
            `precomputed:OUT` reads it back.
        limit: so many images of each split at the most.
        flags: settings: cache_dir, data_dir, device, precision, batch_size, workers, plugins.

    Raises:
        EyechartError: a spec is wrong, no image could be read, or the disk is full.
    """
    limit, out = as_limit(limit), None if out is None else as_path(out, "out")
    with settings.using(**flags):
        bound, named = adopt.bound("encoders", encoder), adopt.bound("datasets", data)
        with without_advice():  # on folds, which make no other embeddings
            images: Dataset = named.call()
        if parts(images):
            raise EyechartError(f"{named.label}: folds are rows of the same embeddings; leave out folds and repeats.")
        if limit is not None:
            images = {split: limited(part, limit) for split, part in images.items()}
        warn_of_copies(named, images)
        network, learned = load_encoder(bound), {}
        embedded = {
            split: embed_any(network, part, images, what=f"{bound.label} on {named.label} {split}", learned=learned)
            for split, part in images.items()
        }
        for split, z in embedded.items():
            name_left_out(z.left_out, f"{bound.label} on {named.label}: left out", split, "left_out")
            if wrong := doubt(z.x, z.ids):
                log.warning("%s on %s %s: %s", bound.label, named.label, split, wrong)
        if out is not None:
            about = {"encoder": bound.text, "data": named.text, "key": network.key, "splits": {}}
            _write(out, embedded, images, about)
        return embedded


def _write(out: Path, embedded: dict[str, Embeddings], images: Dataset, about: dict[str, Any]) -> None:
    n, dim = sum(map(len, embedded.values())), next(iter(embedded.values())).x.shape[1]
    with writing(out / "x.npy") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (n, dim)})
        for z in embedded.values():
            for block in z.blocks():
                file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
    _write_lines(out / "ids.txt", [name for z in embedded.values() for name in z.ids])
    contents = {i: h.tobytes().hex() for part in images.values() for i, h in zip(part.ids, part.hashes, strict=True)}
    _write_lines(out / "hashes.txt", [contents[name] for z in embedded.values() for name in z.ids])
    _write_lines(
        out / "labels.txt", [z.classes[label] if label >= 0 else "" for z in embedded.values() for label in z.y]
    )
    _write_lines(out / "splits.txt", [split for split, z in embedded.items() for _ in z.ids])
    about["splits"] = {split: {"n": len(z), "left_out": dict(z.left_out)} for split, z in embedded.items()}
    write_json(out / "about.json", {**about, "n": n, "dim": dim})


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    try:
        content = "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError as error:
        raise EyechartError(f"{path} must be UTF-8, and a file name is not: {error}. Rename that file.") from error
    if content.count(b"\n") != len(lines):
        broken = next(line for line in lines if "\n" in line)
        raise EyechartError(f"{broken!r} cannot be one line of {path}; rename that file or class.")
    write_bytes(path, content)
