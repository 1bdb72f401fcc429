"""The Oxford-IIIT Pet data set: the official lists, and a val drawn from trainval."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from eyechart.datasets._download import Archive, mend, obtain_all
from eyechart.datasets._lists import cells, listed, number_in
from eyechart.datasets._official import check_drawing, warn_if_partial
from eyechart.errors import EyechartError
from eyechart.types import Dataset

_URL = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
IMAGES = Archive(
    url=f"{_URL}images.tar.gz",
    checksum="md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
    folder="oxford-iiit-pet/images",
    layout="Abyssinian_1.jpg and so on",
    megabytes=792,
)
LISTS = Archive(
    url=f"{_URL}annotations.tar.gz",
    checksum="md5:95a8c909bbe2e81eed6a22bccdf3f68f",
    folder="oxford-iiit-pet/annotations",
    layout="trainval.txt, test.txt",
    megabytes=19,
)
_SPECIES = ("Cat", "Dog")
_OFFICIAL = {"train": 3680, "test": 3669}  # images
_LISTS = {"train": "trainval.txt", "test": "test.txt"}


def pets(*, level: Literal["breed", "species"] = "breed", val: float = 0.1, seed: int = 42) -> Dataset:
    """7,349 photographs of cats and dogs of 37 breeds: 3,680 for train and val, the official 3,669 test.

    There is no official val: the share `val` of each breed is drawn from the official trainval, seeded, exact
    duplicates on one side. `level="species"` has the classes Cat and Dog instead, of the same images in the same
    splits. Ids are the file names.

    Found in the data folder as oxford-iiit-pet/images and oxford-iiit-pet/annotations (or the archives images.tar.gz
    and annotations.tar.gz in oxford-iiit-pet), else downloaded there (811 MB).

    Source: O. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar, Cats and Dogs, CVPR 2012 (CC BY-SA 4.0).
    """
    check_drawing("pets", val, seed)
    folder, lists = obtain_all(IMAGES, LISTS)
    repair = mend(LISTS)
    breeds: dict[int, tuple[str, str]] = {}
    files = {split: _members(lists / name, breeds, repair) for split, name in _LISTS.items()}
    warn_if_partial(folder, "Oxford-IIIT Pet", files, _OFFICIAL)
    known = [breeds[number] for number in sorted(breeds)]
    data = listed(folder, files, [breed for breed, _ in known], mend(IMAGES), val=val, seed=seed)
    if level == "breed":
        return data
    species = np.array([_SPECIES.index(kind) for _, kind in known])
    return {
        split: dataclasses.replace(images, labels=species[images.labels], classes=_SPECIES)
        for split, images in data.items()
    }


def _members(path: Path, breeds: dict[int, tuple[str, str]], repair: str) -> list[tuple[str, str]]:
    """Give the file and the breed of each line: image, number of the breed, of the species, of the breed in it.

    Which number is which breed, and of which species, is added to `breeds`: the names stand in those of the images.
    """
    members = []
    for image, number, species, _ in cells(path, 4, repair):
        kind = _SPECIES[number_in(species, path, len(_SPECIES), repair) - 1]
        breed = (image.rpartition("_")[0].replace("_", " ").title(), kind)
        known = breeds.setdefault(number_in(number, path, None, repair), breed)
        if known != breed:
            raise EyechartError(
                f"{path}: {image} is a {kind} with the number {number}, which is {known[0]}, a {known[1]}; {repair}"
            )
        members.append((f"{image}.jpg", breed[0]))
    return members
