"""Embeddings that were computed elsewhere, or by `eyechart embed --out DIR`: found by image id, no forward pass."""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from eyechart.errors import EyechartError, Unavailable
from eyechart.files import digest, sha256_of
from eyechart.types import Encoder, FilePath, Images

_ROWS, _IDS, _HASHES = "x.npy", "ids.txt", "hashes.txt"
_LAYOUT = f"{_ROWS} (float32 [n, d], saved by numpy) and {_IDS} (the n image ids, one per line, UTF-8)"


def precomputed(folder: FilePath) -> Encoder:
    """The rows of FOLDER/x.npy, float32 [n, d], memory-mapped; line i of FOLDER/ids.txt is the image id of row i.

    `eyechart embed --out FOLDER` writes this layout. The folder may hold more images than are asked for, in any
    order. Where there is a FOLDER/hashes.txt (the sha256 of each image's content, as `eyechart embed` writes it), a row
    whose image has changed is refused; without it an id is all that ties a row to an image. The content of the files
    is part of the identity, where they lie is not.
    """
    path = Path(folder).expanduser()
    _check_there(path)
    x = _read_rows(path)
    position = {name: row for row, name in enumerate(_read_ids(path, len(x)))}
    hashes = _read_hashes(path, len(x))
    return Encoder(
        dim=x.shape[1],
        lookup=partial(_look_up, path, x, position, hashes),
        weights=digest([sha256_of(path / name) for name in (_ROWS, _IDS, _HASHES) if (path / name).exists()]),
        loaded=f"{len(x)} embeddings from {path}",
    )


def _check_there(path: Path) -> None:
    if not path.is_dir():
        raise Unavailable(f"there is no folder {path}; precomputed: takes a folder that holds {_LAYOUT}.")
    for name in (_ROWS, _IDS):
        if not (path / name).is_file():
            raise Unavailable(f"{path} has no {name}; precomputed: takes a folder that holds {_LAYOUT}.")


def _read_rows(path: Path) -> Float32[np.ndarray, "n d"]:
    try:
        x = np.lib.format.open_memmap(path / _ROWS, mode="r")  # never unpickles, unlike np.load when it is told to
    except (ValueError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise EyechartError(f"{path / _ROWS} cannot be read ({reason}); the folder must hold {_LAYOUT}.") from error
    if x.dtype != np.float32 or x.ndim != 2 or 0 in x.shape:
        raise EyechartError(f"{path / _ROWS} is {x.dtype} of shape {x.shape}; the folder must hold {_LAYOUT}.")
    return x


def _read_ids(path: Path, n: int) -> list[str]:
    try:
        text = (path / _IDS).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path / _IDS} is not UTF-8 ({error.reason}); the folder must hold {_LAYOUT}.") from error
    # Only the line feed ends a line: str.splitlines would also cut ids at the rarer separators of Unicode.
    ids = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(ids) != n:
        raise EyechartError(
            f"{path / _IDS} names {len(ids)} images but {_ROWS} has {n} rows; there must be one id per row."
        )
    if len(set(ids)) < n:
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))
        raise EyechartError(
            f"{path / _IDS} names {twice!r} more than once; {n - len(set(ids))} of its {n} ids are repeated."
        )
    return ids


def _read_hashes(path: Path, n: int) -> list[str] | None:
    if not (path / _HASHES).exists():
        return None
    hashes = (path / _HASHES).read_text(encoding="ascii", errors="replace").split()
    if len(hashes) != n:
        raise EyechartError(f"{path / _HASHES} has {len(hashes)} lines but {_ROWS} has {n} rows; delete it or mend it.")
    return hashes


def _look_up(
    path: Path, x: Float32[np.ndarray, "n d"], position: dict[str, int], hashes: list[str] | None, images: Images
) -> Float32[np.ndarray, "m d"]:
    _refuse_edited(path, images)
    missing = [name for name in images.ids if name not in position]
    if missing:
        raise EyechartError(
            f"{path} has no embedding of {missing[0]!r}: {len(missing)} of {len(images)} images are not named in "
            f"{_IDS}. Was it made from another data set, or with other splits?"
        )
    rows = np.array([position[name] for name in images.ids], dtype=np.int64)
    if hashes is not None:
        _refuse_others(path, [hashes[row] for row in rows], images)
    neighbors = len(rows) > 0 and bool((np.diff(rows) == 1).all())
    return x[rows[0] : rows[-1] + 1] if neighbors else x[rows]  # a run of rows stays memory-mapped


def _refuse_others(path: Path, hashes: list[str], images: Images) -> None:
    """Another data set may use the same ids for other pictures, and a picture may have been replaced."""
    changed = [
        name for name, had, has in zip(images.ids, hashes, images.hashes, strict=True) if had != has.tobytes().hex()
    ]
    if changed:
        raise EyechartError(
            f"{path} was made from another picture called {changed[0]!r}; {len(changed)} of {len(images)} images are "
            "not those it was made from. Embed them anew."
        )


def _refuse_edited(path: Path, images: Images) -> None:
    """A changed picture keeps its id, and the row found by that id would be that of the picture unchanged."""
    source: Images | None = images
    while source is not None:
        if source.edit is not None:
            raise EyechartError(
                f"{path} holds embeddings of the images as they are; {source.edit.key} changes them, and that needs an "
                "encoder that can compute."
            )
        source = source.base
