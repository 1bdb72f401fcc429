"""Look after the cache: what is in it, what is damaged, what can go."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from eyechart import settings
from eyechart.embedding import contents, store
from eyechart.errors import EyechartError
from eyechart.files import read_json, sha256_of

_DAY = 86400.0
_IN_USE = 1 / 24  # days: whoever works on a folder changes it far more often


@dataclasses.dataclass(frozen=True)
class Kept:
    """One set of stored embeddings."""

    folder: Path
    state: str  # complete, unfinished, damaged
    images: int
    size: int  # bytes
    unused_days: float


def ls() -> list[Kept]:
    """Give what is stored, largest first."""
    looks = map(_look, store.folders(settings.active().cache_dir))
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


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # shards go when another process joins them
        return path.stat().st_size
    return 0


def _age(path: Path) -> float:
    return max(0.0, (time.time() - path.stat().st_mtime) / _DAY)


def gc(*, unused_days: float = 30, dry_run: bool = False) -> list[Kept]:
    """Remove embeddings that are damaged or were not used for so many days, and what killed runs left behind.

    Nothing is lost that a run cannot compute again. What a run may be working on stays. Gives what was removed, or
    would be.
    """
    if not unused_days >= 0:
        raise EyechartError(f"unused_days must be 0 or more days; got {unused_days}.")
    going = [kept for kept in ls() if kept.state == "damaged" or kept.unused_days >= unused_days]
    going = [kept for kept in going if kept.state != "unfinished" or kept.unused_days >= _IN_USE]
    if not dry_run:
        for kept in going:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                shutil.rmtree(kept.folder)
        for path in (*store.leftovers(settings.active().cache_dir), *contents.orphans()):
            if path.is_dir():  # of a download that was killed
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return going


def verify() -> Iterator[tuple[Kept, bool]]:
    """Read every stored array again and say whether its checksum is what was written."""
    for kept in ls():
        if kept.state == "unfinished":
            continue
        with contextlib.suppress(FileNotFoundError):  # removed since it was listed
            yield kept, kept.state == "complete" and _intact(kept.folder)


def _intact(folder: Path) -> bool:
    return sha256_of(folder / "x.npy") == read_json(folder / "meta.json")["sha256"]
