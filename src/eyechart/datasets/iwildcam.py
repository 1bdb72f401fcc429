"""iWildCam 2020 as WILDS divides it: camera traps that are known, and others."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eyechart.datasets._download import obtain_local
from eyechart.datasets._lists import listed
from eyechart.datasets._official import warn_if_partial
from eyechart.datasets._wilds import columns, with_few
from eyechart.errors import EyechartError
from eyechart.types import Dataset

log = logging.getLogger("eyechart")
FOLDER = "iwildcam_v2.0"
IMAGES = {"train": 129_809, "val": 7_314, "test": 8_154, "val/ood": 14_961, "test/ood": 42_791}
_LAYOUT = "metadata.csv, train/*.jpg, and categories.csv for the names of the classes"
_HOW = (
    "Get version 2.0 (12 GB) from https://wilds.stanford.edu/datasets or with the library wilds, "
    'get_dataset("iwildcam", download=True), and put it there.'
)
_OURS = {"train": "train", "id_val": "val", "id_test": "test", "val": "val/ood", "test": "test/ood"}


def iwildcam(*, sample: int | None = None, seed: int = 42) -> Dataset:
    """203,029 images of camera traps in 182 classes, species and "empty": learn from some cameras, test others, too.

    The official splits of WILDS: train (129,809), val and test (its id_val, 7,314, and id_test, 8,154) are of the same
    cameras on other days, val/ood (its val, 14,961) and test/ood (its test, 42,791) of other cameras. Group of an
    image: its camera. Most images are of few classes, so WILDS reports macro-F1.

    `sample=10` (100, 1000) learns from few images of each class, as a published comparison did: 7 train and 2 val (74
    and 25, 749 and 250), or all of a class that has fewer; another `seed`, another draw. Val is drawn from the known
    cameras; by its sizes, the comparison seems to have taken images of others.

    Classes that categories.csv calls by one name stay apart: each has its number after it.

    A local copy, in the data folder as iwildcam_v2.0; all images are in its folder train, whatever their split. Ids are
    the names of the files.

    Source: P. W. Koh et al., WILDS: A Benchmark of in-the-Wild Distribution Shifts, ICML 2021; S. Beery, E. Cole and
    A. Gjoka, The iWildCam 2020 Competition Dataset, arXiv 2004.10340 (CDLA-Permissive-1.0).
    """
    root = obtain_local(FOLDER, _LAYOUT, _HOW)
    repair = f"the folder must hold {_LAYOUT}. {_HOW}"
    table = root / "metadata.csv"
    splits, names, numbers, cameras = columns(table, ("split", "filename", "y", "location_remapped"), repair)
    if odd := sorted(set(splits) - set(_OURS)):
        raise EyechartError(f"{table} has a split {odd[0]!r}, and there are {', '.join(_OURS)}; {repair}")
    label = _class_names(root, numbers, repair)
    files: dict[str, list[tuple[str, str]]] = {split: [] for split in _OURS.values()}
    groups: dict[str, list[str]] = {split: [] for split in files}
    for official, name, number, camera in zip(splits, names, numbers, cameras, strict=True):
        files[_OURS[official]].append((name, label[number]))
        groups[_OURS[official]].append(camera)
    warn_if_partial(root, "iWildCam", files, IMAGES)
    present = {split: members for split, members in files.items() if members}
    classes = tuple(label.values())
    data = listed(root / "train", present, classes, repair, groups={split: groups[split] for split in present})
    return with_few(data, sample, seed=seed, what="iwildcam")


def _class_names(root: Path, numbers: Sequence[str], repair: str) -> dict[str, str]:
    """Give what the numbers of the classes stand for, in their order; the numbers where nothing names them.

    Of classes of one name, each has its number after it: they are different ones.
    """
    if odd := next((number for number in numbers if not number.isdecimal()), None):
        raise EyechartError(f"{root / 'metadata.csv'} has {odd!r} as a number of a class (y); {repair}")
    present = sorted(set(numbers), key=int)
    if not (root / "categories.csv").is_file():
        log.info("there is no %s, so the classes are called by their numbers", root / "categories.csv")
        return {number: number for number in present}
    known, names = columns(root / "categories.csv", ("y", "name"), repair)
    named = dict(zip(known, names, strict=True))
    if missing := [number for number in present if not named.get(number)]:
        raise EyechartError(f"{root / 'categories.csv'} has no name for the class {missing[0]}; {repair}")
    often = Counter(named[number] for number in present)
    if twice := [name for name, count in often.items() if count > 1]:
        log.warning("%s: several classes are called %s; they are told apart by their numbers", root, ", ".join(twice))
    return {number: f"{named[number]} {number}" if named[number] in twice else named[number] for number in present}
