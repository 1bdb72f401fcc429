"""A folder of images for search: what each shows is in its name."""

import re
from pathlib import Path

import numpy as np

from eyechart.datasets._listing import is_image
from eyechart.datasets._walk import walk
from eyechart.errors import EyechartError, Unavailable
from eyechart.images.views import from_files, rows
from eyechart.types import Dataset, FilePath

SAMPLES = {"instances": r'instances:{pictures}(name="(\\d+)")'}


def instances(path: FilePath, *, name: str = "", per: int = 1, queries: str = "", gallery: str = "") -> Dataset:
    """Images of a folder, as deep as they lie, of which file names say what they show.

    `name` is a regular expression that is looked for in a file's name, or in its path below the folder if there is a
    slash in the expression; its first group is what the image shows: `name="(.+)-"` for 00042-01.jpg, `name="(.+)/"`
    for folders of classes. `per=4` divides it, a number, by four and rounds down: of numbered photographs,
    four show the same. Without `name` every image shows something of its own: nothing is known, and only
    `eyechart search` and what needs no truth can use it.

    With `queries="query", gallery="ref"` these two folders are the splits query and gallery; else there is one split,
    test, in which every image asks for the others. Ids are the paths below the folder.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise Unavailable(f"there is no folder {root}; give the path of a folder of images.")
    if per < 1 or (per > 1 and not name) or bool(queries) != bool(gallery):
        raise EyechartError(
            "instances: per is at least 1, and more than 1 only with name; queries and gallery are given together; got "
            f"name={name!r}, per={per}, queries={queries!r}, gallery={gallery!r}."
        )
    folders = [Path(name).as_posix().strip("/") for name in ((queries, gallery) if queries else ("",))]
    files = _files(root, ["" if name == "." else name for name in folders])
    shown = [_shown(root, file, name, per) for file in files]
    classes = sorted(set(shown), key=lambda one: (len(one), one) if one.isdecimal() else (0, one))
    position = {one: label for label, one in enumerate(classes)}
    images = from_files(
        root, files, np.array([position[one] for one in shown], np.int64), classes=classes, groups=shown
    )
    if not queries:
        return {"test": images}
    asked = np.array([file.startswith(f"{folders[0]}/") for file in files])
    return {"query": rows(images, asked), "gallery": rows(images, ~asked)}


def _files(root: Path, folders: list[str]) -> list[str]:
    files = []
    for folder in folders:
        below = folder.strip("/")
        here = root / below
        if not here.is_dir():
            raise EyechartError(f"there is no folder {here}; queries and gallery name folders below {root}.")
        paths = sorted(
            "/".join(filter(None, (below, part, file)))
            for part, names in walk(here)
            for file in names
            if is_image(file)
        )
        if not paths:
            raise EyechartError(f"{here} holds no images.")
        files += paths
    if len(set(files)) < len(files):
        raise EyechartError(f"queries and gallery must be two folders, neither below the other; got {folders}.")
    return files


def _shown(root: Path, file: str, name: str, per: int) -> str:
    """Give what an image shows, by the name of its file."""
    if not name:
        return file
    try:
        match = re.search(name, file if "/" in name else Path(file).name)
    except re.error as error:
        raise EyechartError(f"instances: name={name!r} is no regular expression ({error}).") from error
    if match is None or not match.re.groups or match[1] is None:
        raise EyechartError(
            f"instances: name={name!r} must find what an image shows in every file's name, or with a slash in its "
            f"path, as its first group; it does not in {root / file}."
        )
    if per == 1:
        return match[1]
    if not match[1].isdecimal():
        raise EyechartError(f"instances: per divides numbers, and name={name!r} finds {match[1]!r} in {root / file}.")
    return str(int(match[1]) // per)
