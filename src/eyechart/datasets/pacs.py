"""PACS: photos, art paintings, cartoons and sketches of the same seven classes."""

import dataclasses
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._download import obtain_local
from eyechart.datasets._folders import by_class
from eyechart.datasets._lists import cells, whole
from eyechart.datasets._official import check_drawing, warn_if_partial
from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

PART_OF = ("imagenet",)  # some photos are: those of Sketchy, which took them from there
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
IMAGES = {"photo": 1670, "art_painting": 2048, "cartoon": 2344, "sketch": 3929}
_LAYOUT = "<domain>/<class>/* or kfold/<domain>/<class>/*; for the official lists photo_train_kfold.txt and so on, too"
_HOW = (
    "Get it from http://www.eecs.qmul.ac.uk/~dl307/project_iccv2017 (lists included) or, images only, as DomainBed's "
    "PACS.zip from https://drive.google.com/uc?id=1JFr8f805nMUelQWWmfnJR3y4_SYoN5Pd, and unpack it there."
)


def pacs(
    *,
    test: tuple[Literal["photo", "art_painting", "cartoon", "sketch"], ...] = ("sketch",),
    train: tuple[Literal["photo", "art_painting", "cartoon", "sketch"], ...] = (),
    official: bool = False,
    val: float = 0.1,
    seed: int = 42,
) -> Dataset:
    """9,991 images of 7 classes in 4 domains, each a group: train and val of some domains, test all of others.

    `test` names the domains that are tested, `train` those that are learnt from: all others where none is named, so
    that `pacs(test="photo")` leaves one domain out. The share `val` of each class and domain is drawn, seeded, exact
    duplicates on one side. With `official`, train and val are those of the official lists instead (their "crossval",
    also a tenth). They name one painting twice and another never, which is then in neither; its domain tests it.

    All are rows of one whole: no option embeds anything again. Ids are the paths, such as photo/dog/056_0001.jpg.
    Photos and sketches are of other sets (Caltech-256, Sketchy with photos of ImageNet, TU-Berlin), so encoders
    trained on ImageNet may have seen some.

    Found in the data folder as pacs/<domain>/<class>/* or pacs/kfold/<domain>/<class>/*, the lists as
    pacs/photo_train_kfold.txt and so on. It is not downloaded, as no checksum of it is published.

    Source: D. Li, Y. Yang, Y.-Z. Song and T. Hospedales, Deeper, Broader and Artier Domain Generalization, ICCV 2017
    (no license stated).
    """
    learnt = train or tuple(domain for domain in IMAGES if domain not in test)
    _check_options(learnt, test, official, val, seed)
    root = obtain_local("pacs", _LAYOUT, _HOW)
    images = _images(root / "kfold" if (root / "kfold").is_dir() else root)
    parts = _listed(root, images, learnt) if official else _drawn(images, learnt, val, seed)
    return {split: rows(images, np.sort(part)) for split, part in (parts | {"test": _of(images, test)}).items()}


def _check_options(learnt: Collection[str], test: Collection[str], official: bool, val: float, seed: int) -> None:
    if both := [domain for domain in learnt if domain in test]:
        raise EyechartError(f"pacs: {both[0]} is in train and in test; a domain is for one of them.")
    if not learnt:
        raise EyechartError(f"pacs: test names all domains ({', '.join(IMAGES)}), so none is left for train.")
    if official and (val, seed) != (0.1, 42):
        raise EyechartError(f"pacs: the official lists are not drawn; leave out val={val} and seed={seed}.")
    check_drawing("pacs", val, seed)


def _images(folder: Path) -> Images:
    repair = _repair(folder)
    found = {domain: by_class(folder / domain, CLASSES, repair) for domain in IMAGES}
    warn_if_partial(folder, "PACS", found, IMAGES)
    members = [(f"{domain}/{path}", name) for domain, paths in found.items() for path, name in paths]
    groups = list(chain.from_iterable([domain] * len(paths) for domain, paths in found.items()))
    return whole(folder, members, CLASSES, repair, groups=groups)


def _repair(folder: Path) -> str:
    return f"{folder} must hold {_LAYOUT}. {_HOW}"


def _of(images: Images, domains: Sequence[str]) -> Int64[np.ndarray, " _"]:
    assert images.groups is not None
    return np.flatnonzero(np.isin(images.groups, domains))


def _drawn(images: Images, domains: Sequence[str], val: float, seed: int) -> dict[str, Int64[np.ndarray, " _"]]:
    """Give train and val, drawn of each domain by itself: together, small domains could be all of one side."""
    parts: dict[str, list[Int64[np.ndarray, " _"]]] = {"train": [], "val": []}
    for domain in domains:
        members = _of(images, [domain])
        alone = dataclasses.replace(rows(images, members), groups=None)
        for split, chosen in draw(alone, {"train": 1 - val, "val": val}, seed=seed).items():
            parts[split].append(members[chosen])
    drawn = {split: np.concatenate(chosen) for split, chosen in parts.items()}
    for split, chosen in drawn.items():
        if not len(chosen):
            raise EyechartError(f"pacs: a val of {val:g} leaves no image in {split}; give another share.")
    return drawn


def _listed(root: Path, images: Images, domains: Sequence[str]) -> dict[str, Int64[np.ndarray, " _"]]:
    """Give train and val of the official lists. The class is that of the path, as one line has another number."""
    position = {name: row for row, name in enumerate(images.ids)}
    parts = {}
    for split, kind in (("train", "train"), ("val", "crossval")):
        paths = [root / f"{domain}_{kind}_kfold.txt" for domain in domains]
        named = {name: path for path in paths for name, _ in cells(path, 2, _repair(root))}
        for name, path in named.items():
            if name not in position:
                raise EyechartError(f"{path} lists {name}, which is not among the images; {_repair(root)}")
        parts[split] = np.array([position[name] for name in named])
    return parts
