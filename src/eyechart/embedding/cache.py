"""Look after the cache: what is in it, what is damaged, what can go."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from eyechart import settings
from eyechart.embedding import contents, indexes, store
from eyechart.errors import EyechartError
from eyechart.files import PARTIAL, read_json, sha256_of

_DAY = 86400.0
_IN_USE = 1 / 24  # days: whoever works on a folder changes it far more often
_GROWING = {"unfinished", "download"}


@dataclasses.dataclass(frozen=True)
class Kept:
    """One set of stored embeddings, an index of one, or what is left of a download that stopped."""

    folder: Path  # of an index or a download the file
    state: str  # complete, unfinished, damaged; index; download
    images: int
    size: int  # bytes
    unused_days: float


def ls() -> list[Kept]:
    """Give what is stored, largest first."""
    cache = settings.active().cache_dir
    looks = [*map(_look, store.folders(cache)), *map(_look_at_index, indexes.files(cache))]
    return sorted((kept for kept in looks if kept is not None), key=lambda kept: -kept.size)


def _look(folder: Path) -> Kept | None:
    """Say what a folder holds, or None where another process has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        return _described(folder)
    return None


def _described(folder: Path) -> Kept:
    size = sum(map(_size, folder.iterdir()))
    meta_path = folder / "meta.json"
    images = int(folder.name.partition("-")[0])
    if not meta_path.exists():
        return Kept(folder, "unfinished", images, size, _age(folder))
    try:
        whole = (folder / "x.npy").stat().st_size == read_json(meta_path)["bytes"]
    except (EyechartError, OSError, KeyError):
        whole = False
    return Kept(folder, "complete" if whole else "damaged", images, size, _age(meta_path))


def _look_at_index(path: Path) -> Kept | None:
    """Say what an index is of, or None where another process has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        size, age = path.stat().st_size, _age(path)
        try:
            about = read_json(indexes.about(path), *indexes.ABOUT)
        except (EyechartError, FileNotFoundError):
            return Kept(path, "damaged", 0, size, age)
        return Kept(path, "index" if about["bytes"] == size else "damaged", about["n"], size, age)
    return None


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # shards go when another process joins them
        return path.stat().st_size
    return 0


def _age(path: Path) -> float:
    return max(0.0, (time.time() - path.stat().st_mtime) / _DAY)


def gc(*, unused_days: float = 30, dry_run: bool = False) -> list[Kept]:
    """Remove embeddings and indexes that are damaged or long unused, and what killed runs left behind.

    So do the beginnings of downloads, in the data folder, that stopped so many days ago or whose file is there by now.
    Nothing is lost that a run cannot compute or download again. What a run may be working on stays. Gives what was
    removed, or would be.
    """
    if not unused_days >= 0:
        raise EyechartError(f"unused_days must be 0 or more days; got {unused_days}.")
    going = [kept for kept in ls() if kept.state == "damaged" or kept.unused_days >= unused_days]
    going += [kept for kept in _begun() if kept.unused_days >= unused_days or _arrived(kept.folder)]
    going = [kept for kept in going if kept.state not in _GROWING or kept.unused_days >= _IN_USE]
    if not dry_run:
        for kept in going:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                shutil.rmtree(kept.folder) if kept.folder.is_dir() else kept.folder.unlink()
            if kept.folder.suffix == indexes.SUFFIX:
                indexes.about(kept.folder).unlink(missing_ok=True)
        for path in (*store.leftovers(settings.active().cache_dir), *contents.orphans()):
            if path.is_dir():  # of a download that was killed
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return going


def _begun() -> list[Kept]:
    """Give what is left of downloads to the data folder, as datasets._transfer keeps it beside the file to be."""
    data = settings.active().data
    found = [*data.glob(f"{PARTIAL}*"), *data.glob(f"*/{PARTIAL}*")]
    return [Kept(path, "download", 0, _size(path), _touched(path)) for path in sorted(found) if path.is_file()]


def _touched(begun: Path) -> float:
    """Days since a download went on: what was noted at its start is as young as what comes."""
    content = begun.with_name(begun.name.removesuffix(".json"))
    return _age(content if content.is_file() else begun)


def _arrived(begun: Path) -> bool:
    name = begun.name.removeprefix(PARTIAL)
    return any(begun.with_name(one).is_file() for one in (name, name.removesuffix(".json")))


def verify() -> Iterator[tuple[Kept, bool]]:
    """Read every stored array again and say whether its checksum is what was written."""
    for kept in ls():
        if kept.state in {"unfinished", "index"}:
            continue
        with contextlib.suppress(FileNotFoundError):  # removed since it was listed
            yield kept, kept.state == "complete" and _intact(kept.folder)


def _intact(folder: Path) -> bool:
    return sha256_of(folder / "x.npy") == read_json(folder / "meta.json")["sha256"]
