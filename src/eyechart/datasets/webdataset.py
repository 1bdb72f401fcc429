"""Images in tar files, as WebDataset shards them."""

import glob
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from eyechart.datasets._drawing import warn_of_untaught, with_drawn
from eyechart.datasets._shards import Shard, image_in, shard
from eyechart.errors import EyechartError, Unavailable
from eyechart.images.reading import decode
from eyechart.types import Dataset, FilePath, Images, Pixels

SAMPLES = {"webdataset": "webdataset:shards-{000..001}.tar"}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_BRACES = re.compile(r"\{([^{}]*)\}")


def webdataset(
    train: str,
    *,
    val: str | None = None,
    test: str | None = None,
    label: str = "cls",
    classes: FilePath | None = None,
    seed: int = 0,
) -> Dataset:
    """The images in tar files, where one sample is the members KEY.jpg (or .png, ...) and KEY.cls or KEY.json.

    `webdataset:data-{000..009}.tar`, `webdataset:train-*.tar(val="val-*.tar")`. Braces stand for a range or a choice
    of files, all of which must be there; *, ? and [] for whatever files match; but a file of that very name goes first.
    A KEY ends at the first dot after the last slash. `label` is the ending of the member that holds the class (cls,
    txt), or else the field of KEY.json that does. `classes` is a text file that names one class in each line, for
    labels that are numbers from 0 on.

    A val or test that is not given is drawn from train, a fifth each, stratified and with `seed`. Ids are SHARD/KEY.

    Files on this machine only, and none that are compressed: each image is read where it lies. A shard is read once
    for its index, and again when its size or its times change.
    """
    if seed < 0:
        raise EyechartError(f"webdataset: seed must be at least 0; got {seed}.")
    patterns = {split: one for split, one in {"train": train, "val": val, "test": test}.items() if one is not None}
    paths = {split: _paths(pattern) for split, pattern in patterns.items()}
    shards = {split: [shard(path, label) for path in found] for split, found in paths.items()}
    position, names = _classes((one for found in shards.values() for part in found for one in part.labels), classes)
    root = Path(os.path.commonpath([path.parent.absolute() for found in paths.values() for path in found]))
    data = {split: _images(found, root, position, names) for split, found in shards.items()}
    _refuse_twice(data)
    data = with_drawn(data, Path(train), {"val": 0.2, "test": 0.2}, seed)
    warn_of_untaught(data, f"webdataset:{train}")
    return data


def _paths(pattern: str) -> list[Path]:
    """Give the files a pattern stands for; of one that is the name of a file, that file.

    Raises:
        EyechartError: it is an address, or stands for nothing.
        Unavailable: there is no such file.
    """
    if _ADDRESS.match(pattern):
        raise EyechartError(f"webdataset reads files of this machine only; download {pattern} and give its path.")
    written = os.path.expanduser(pattern)  # noqa: PTH111, a pattern is no path yet
    names = [written] if Path(written).is_file() else _unbraced(written)
    found = [path for name in names for path in _matching(name)]
    if not found:
        raise EyechartError(f"webdataset: {pattern} stands for no file; a range goes up, such as {{000..009}}.")
    return found


def _matching(name: str) -> list[Path]:
    plain = Path(name).is_file() or not glob.has_magic(name)
    matching = [name] if plain else sorted(glob.glob(name)) or [name]  # noqa: PTH207, as it may be absolute
    if missing := [path for path in matching if not Path(path).is_file()]:
        raise Unavailable(
            f"there is no file {missing[0]}; webdataset: takes tar files such as data-{{000..009}}.tar or data-*.tar, "
            "with members KEY.jpg and KEY.cls."
        )
    return list(map(Path, matching))


def _unbraced(pattern: str) -> list[str]:
    """Give all that braces stand for, as a shell would.

    >>> _unbraced("a-{08..10}.{tar,tgz}")
    ['a-08.tar', 'a-08.tgz', 'a-09.tar', 'a-09.tgz', 'a-10.tar', 'a-10.tgz']
    """
    parts = _BRACES.split(pattern)
    choices = [_choices(part) if number % 2 else [part] for number, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str) -> list[str]:
    if (ends := re.fullmatch(r"(\d+)\.\.(\d+)", inside)) is None:
        return inside.split(",")
    padded = any(len(end) > 1 and end.startswith("0") for end in ends.groups())
    width = max(map(len, ends.groups())) if padded else 0
    return [f"{number:0{width}d}" for number in range(int(ends[1]), int(ends[2]) + 1)]


def _classes(labels: Iterable[str], named: str | None) -> tuple[dict[str, int], tuple[str, ...]]:
    """Give the position of each label and the names of the classes.

    Raises:
        EyechartError: there are no names, or there is none for a label.
    """
    present = set(labels)
    numbers = all(re.fullmatch(r"\d+", one) for one in present)
    if named is None:
        ordered = sorted(present, key=lambda one: (int(one), one) if numbers else (0, one))
        return {one: number for number, one in enumerate(ordered)}, tuple(ordered)
    path = Path(named).expanduser()
    names = _lines(path)
    beyond = sorted(one for one in present if not numbers or int(one) >= len(names))
    if beyond or len(set(names)) < len(names):
        said = f"the label {beyond[0]!r} is none of 0 to {len(names) - 1}" if beyond else "two have the same name"
        raise EyechartError(f"{path} names {len(names)} classes, and {said}.")
    return {one: int(one) for one in present}, names


def _lines(path: Path) -> tuple[str, ...]:
    """Give the names in a file, one in each line: the number of a line is that of its class."""
    if not path.is_file():
        raise EyechartError(f"there is no file {path}; classes= takes a text file that names one class in each line.")
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines())
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path} is no text in UTF-8: {error}. Save it as UTF-8.") from error
    if "" in names:
        raise EyechartError(
            f"{path}, line {names.index('') + 1}, is blank, and the lines are the classes from 0 on; name that class, "
            "or leave the line out."
        )
    return names


def _images(shards: Sequence[Shard], root: Path, position: dict[str, int], classes: tuple[str, ...]) -> Images:
    starts = np.cumsum([0, *(len(part.keys) for part in shards)])

    def load(row: int) -> Pixels:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return decode(image_in(shards[number], row - int(starts[number])))

    hashes = "".join(one for part in shards for one in part.hashes)
    return Images(
        hashes=np.frombuffer(bytes.fromhex(hashes), np.uint8).reshape(-1, 32),
        load=load,
        labels=np.array([position[one] for part in shards for one in part.labels], np.int64),
        classes=classes,
        ids=tuple(f"{_name(part.path, root)}/{key}" for part in shards for key in part.keys),
    )


def _name(path: Path, root: Path) -> str:
    return path.absolute().relative_to(root).with_suffix("").as_posix()


def _refuse_twice(data: Dataset) -> None:
    often = Counter(name for images in data.values() for name in images.ids)
    for name, count in often.most_common(1):
        if count > 1:
            raise EyechartError(f"webdataset: {name} is in {count} of the places that the patterns name; give it once.")
