"""Look after the cache: what is in it, what is damaged, what can go."""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from eyechart import settings
from eyechart.embedding import store
from eyechart.errors import EyechartError
from eyechart.files import read_json, sha256_of

_DAY = 86400.0


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
    return sorted(map(_look, store.folders(settings.active().cache_dir)), key=lambda kept: -kept.size)


def _look(folder: Path) -> Kept:
    size = sum(path.stat().st_size for path in folder.iterdir())
    meta_path = folder / "meta.json"
    images = int(folder.name.partition("-")[0])
    if not meta_path.exists():
        return Kept(folder, "unfinished", images, size, _age(folder))
    try:
        whole = (folder / "x.npy").stat().st_size == read_json(meta_path)["bytes"]
    except (EyechartError, OSError, KeyError):
        whole = False
    return Kept(folder, "complete" if whole else "damaged", images, size, _age(meta_path))


def _age(path: Path) -> float:
    return max(0.0, (time.time() - path.stat().st_mtime) / _DAY)


def gc(*, unused_days: float = 30, dry_run: bool = False) -> list[Kept]:
    """Remove embeddings that are damaged or were not used for so many days, and what killed runs left behind.

    Nothing is lost that a run cannot compute again. Gives what was removed, or would be.
    """
    going = [kept for kept in ls() if kept.state == "damaged" or kept.unused_days >= unused_days]
    if not dry_run:
        for kept in going:
            shutil.rmtree(kept.folder)
        for path in store.leftovers(settings.active().cache_dir):
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
        intact = kept.state == "complete"
        if intact:
            intact = sha256_of(kept.folder / "x.npy") == read_json(kept.folder / "meta.json")["sha256"]
        yield kept, intact
