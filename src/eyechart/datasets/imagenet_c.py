"""ImageNet-C: how much corruptions of the validation images hurt."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from eyechart.datasets._corrupted import ask, split_of, those_there
from eyechart.datasets._download import obtain_local
from eyechart.datasets._wordnet import class_names
from eyechart.datasets.imagenet import imagenet
from eyechart.errors import EyechartError
from eyechart.images.corruptions.profiles import EXTRA, GROUPS, Cell
from eyechart.images.views import from_files
from eyechart.progress import progress
from eyechart.types import Dataset, Images

PART_OF = ("imagenet",)
TARS = GROUPS | {"extra": EXTRA}  # what unpacks from noise.tar, blur.tar, weather.tar, digital.tar and extra.tar
_LAYOUT = "<corruption>/<severity>/<wnid>/*.JPEG, as they are or in folders noise, blur, weather, digital and extra"
_WHERE = "https://zenodo.org/records/2235448"
_HOW = (
    f"Get noise.tar, blur.tar, weather.tar, digital.tar and extra.tar from {_WHERE} (66 GB in all, or those of the "
    "corruptions you want), and unpack each there: tar -xf noise.tar -C imagenet-c. The clean images come from "
    "imagenet, which it needs besides."
)


def imagenet_c(
    *,
    corruptions: Literal["all", "common"] | tuple[str, ...] = "all",
    severities: tuple[int, ...] = (1, 2, 3, 4, 5),
    names: Literal["wnid", "words"] = "wnid",
    val: float = 0.04,
    seed: int = 42,
) -> Dataset:
    """ImageNet with 95 more splits, test/<corruption>/<severity>: its 50,000 test images, corrupted.

    train, val and test are those of `imagenet(names=names, val=val, seed=seed)`, embedded once for both. The corrupted
    images have the ids and the order of the clean ones. There are 19 corruptions; "common" are the 15 of the paper's
    figures, without speckle_noise, gaussian_blur, spatter and saturate. `corruptions=("fog", "snow")` and
    `severities=(1, 3)` take some.

    The published images are 224 x 224, cut from the clean ones whose short side was scaled to 256. An encoder does to
    them what it does to all images: one that scales to 256 and cuts out 224 sees their middle 196 x 196 pixels,
    enlarged. The authors' program scales clean images alone, so numbers are not those of tables made with it.

    Read from the folder imagenet-c in the data folder, which may be a link; how to get it is said. Of "all" and
    "common", corruptions and severities that are not there are named and left out; a corruption that is named must be
    there. A severity that lacks images is refused. The first opening reads every file that is asked for once.

    Source: D. Hendrycks and T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations, ICLR 2019 (CC BY 4.0; the photographs for research).
    """
    asked = ask("ImageNet-C", corruptions, severities)
    root = obtain_local("imagenet-c", _LAYOUT, _HOW)
    places = _places(root, [name for name, _ in asked.cells])
    there = {(name, one) for name, one in asked.cells if name in places and (places[name] / str(one)).is_dir()}
    absent = [name for name, one in asked.cells if (name, one) not in there]
    found = those_there(asked, there, where=f"{root}/<corruption>/<severity>", mend=_unpack(root, places, absent))
    clean = imagenet(val=val, seed=seed)
    wnids, test = clean["test"].classes, clean["test"]
    paths = [f"{wnids[label]}/{Path(name).name}" for label, name in zip(test.labels, test.ids, strict=True)]
    data = dict(clean)
    with progress("looking at ImageNet-C", len(found), "severities") as advance:
        for cell in found:
            data[split_of(cell)] = _images(places[cell[0]], cell, paths, test)
            advance(1)
    called = tuple(class_names(wnids, names).values())
    return {split: dataclasses.replace(images, classes=called) for split, images in data.items()}


def _places(root: Path, names: Sequence[str]) -> dict[str, Path]:
    """Give the folder of each corruption that has one, below the root or a folder named as an archive."""
    places = {}
    for name in dict.fromkeys(names):
        found = [path for path in (root / name, *(root / tar / name for tar in TARS)) if path.is_dir()]
        if len(found) > 1:
            raise EyechartError(f"{name} is there twice, as {found[0]} and {found[1]}; move one of them away.")
        if found:
            places[name] = found[0]
    return places


def _images(place: Path, cell: Cell, paths: Sequence[str], test: Images) -> Images:
    """Give the images of one severity, under the ids of the clean ones. Their memo is one of this folder alone."""
    name, severity = cell
    folder = place / str(severity)
    try:
        images = from_files(folder, paths, test.labels, classes=test.classes)
    except EyechartError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        missing = [path for path in paths if not (folder / path).exists()]
        raise EyechartError(
            f"{folder} ({name}, severity {severity}) lacks {len(missing):,} of the {len(paths):,} images, the first of "
            f"them {missing[0]}. {_unpack(place.parent, {name: place}, [name])}"
        ) from error
    return dataclasses.replace(images, ids=test.ids)


def _unpack(root: Path, places: Mapping[str, Path], names: Sequence[str]) -> str:
    """Give a sentence on which archives some corruptions come from, and the folders to unpack these in."""
    folders: dict[Path, list[str]] = {}
    for tar, members in TARS.items():
        if set(members) & set(names):
            beside = next((places[name].parent for name in members if name in places), root)
            folders.setdefault(beside, []).append(f"{tar}.tar")
    where = " and ".join(f"{', '.join(archives)} in {folder}" for folder, archives in folders.items())
    return f"Unpack (tar -xf) {where}; to be had at {_WHERE}."
