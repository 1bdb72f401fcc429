"""Tiny ImageNet: 200 classes of ImageNet in 64 x 64 pixels."""

import re
from pathlib import Path
from typing import Literal

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._folders import by_class, check_count, folders_in, images_in
from eyechart.datasets._official import check_drawing, from_files
from eyechart.datasets._wordnet import class_names
from eyechart.errors import EyechartError
from eyechart.types import Dataset

PART_OF = ("imagenet",)
ARCHIVE = Archive(
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    checksum="md5:90528d7ca1a48142e341f4ef8d21d0de",
    folder="tiny-imagenet-200",
    layout="wnids.txt, train/<wnid>/images/*.JPEG, and val/images/*.JPEG with val/val_annotations.txt",
    megabytes=248,
)
CLASSES, TRAIN, TEST = 200, 100_000, 10_000  # images


def tiny_imagenet(*, names: Literal["wnid", "words"] = "wnid", val: float = 0.1, seed: int = 42) -> Dataset:
    """110,000 color images of 64 x 64 pixels in 200 classes: 90,000 train, 10,000 val, the official val as test.

    val is the share `val` of each class of the official train, drawn with `seed`. The official test has no labels and
    is not read. Classes are WordNet's numbers, such as n01443537; `names="words"` calls them by name, such as
    goldfish. Ids are train/<wnid>/images/<file> and, of test, val/<file>.

    The official layout is read, and the one that many programs make of it: val/<wnid>/*.JPEG, or
    val/<wnid>/images/*.JPEG. Both have the same keys. A val that is moved in part is refused.

    Found in the data folder as tiny-imagenet-200 or tiny-imagenet-200.zip, else downloaded there (248 MB).

    Source: Stanford CS231n course project, 2015; images are from ImageNet (no license stated).
    """
    check_drawing("tiny_imagenet", val, seed)
    root = obtain(ARCHIVE)
    wnids = _wnids(root / "wnids.txt")
    called = class_names(wnids, names)
    train = by_class(root / "train", wnids, mend(ARCHIVE), inner="images")
    check_count(root / "train", len(train), TRAIN, mend(ARCHIVE))
    test = _test(root / "val", wnids)
    check_count(root / "val", len(test), TEST, mend(ARCHIVE))
    paths = {
        "train": [(f"train/{path}", called[wnid]) for path, wnid in train],
        "test": [(f"val/{path}", called[wnid]) for path, wnid in test],
    }
    ids = {
        "train": [path for path, _ in paths["train"]],
        "test": [f"val/{Path(path).name}" for path, _ in test],
    }
    return from_files(root, paths, list(called.values()), ids=ids, val=val, seed=seed)


def _wnids(path: Path) -> list[str]:
    if not path.is_file():
        raise EyechartError(f"there is no {path}; {mend(ARCHIVE)}")
    wnids = sorted(set(path.read_text(encoding="utf-8", errors="replace").split()))
    if len(wnids) != CLASSES:
        raise EyechartError(f"{path} must name the {CLASSES} classes; it has {len(wnids)}. {mend(ARCHIVE)}")
    return wnids


def _test(folder: Path, wnids: list[str]) -> list[tuple[str, str]]:
    """Give path and class of the images of val in the order of their numbers, in whichever layout they lie."""
    unmoved = images_in(folder / "images")
    moved = sorted(one for one in set(wnids) & set(folders_in(folder)) if _images(folder / one))
    if unmoved and moved:
        raise EyechartError(
            f"{folder} is moved in part: {len(unmoved):,} images are in {folder / 'images'}, others in {len(moved)} "
            f"folders of classes, such as {moved[0]}. Move the rest as val_annotations.txt says, or delete "
            f"{folder.parent}, and the next run unpacks or downloads it again."
        )
    found = _annotated(folder, unmoved, wnids) if unmoved else _in_folders(folder, wnids)
    return sorted(found, key=lambda one: _number(one[0]))


def _images(folder: Path) -> list[str]:
    """Give the images of a class in val: some programs leave them in a folder of their own."""
    return images_in(folder) + [f"images/{name}" for name in images_in(folder / "images")]


def _in_folders(folder: Path, wnids: list[str]) -> list[tuple[str, str]]:
    found = [(f"{wnid}/{name}", wnid) for wnid in wnids for name in _images(folder / wnid)]
    if missing := sorted(set(wnids) - {wnid for _, wnid in found}):
        more = f" and {len(missing) - 1} other classes" if len(missing) > 1 else ""
        raise EyechartError(f"{folder} has no images of {missing[0]}{more}; {mend(ARCHIVE)}")
    return found


def _annotated(folder: Path, names: list[str], wnids: list[str]) -> list[tuple[str, str]]:
    """Give the class of each image as val_annotations.txt states it: file, class and box, separated by tabs."""
    path = folder / "val_annotations.txt"
    if not path.is_file():
        raise EyechartError(f"there is no {path}, which says of what class the images are; {mend(ARCHIVE)}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    stated = dict(line.split("\t")[:2] for line in lines if line.count("\t") > 1)
    known = set(wnids)
    for name in names:
        if stated.get(name) not in known:
            said = (
                f"gives {name} the class {stated[name]!r}, which wnids.txt lacks" if name in stated else f"lacks {name}"
            )
            raise EyechartError(f"{path} {said}; {mend(ARCHIVE)}")
    if missing := sorted(set(stated) - set(names), key=_number):
        raise EyechartError(f"there is no {folder / 'images' / missing[0]}, which {path} names; {mend(ARCHIVE)}")
    return [(f"images/{name}", stated[name]) for name in names]


def _number(path: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", Path(path).stem)
    return int(digits[-1]) if digits else -1, path
