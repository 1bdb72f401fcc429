"""ISIC 2020: melanoma or not, grouped by patient."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._download import obtain_local
from eyechart.datasets._lists import whole
from eyechart.datasets._official import warn_if_partial
from eyechart.datasets._sampling import sampled
from eyechart.datasets._wilds import columns
from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

FOLDER = "isic2020"
CLASSES = ("benign", "melanoma")
IMAGES = {"training": 33_126}
_TABLES = ("ISIC_2020_Training_GroundTruth.csv", "ISIC_2020_Training_GroundTruth_v2.csv")
_LAYOUT = f"{_TABLES[0]} (or its version 2) and train/ISIC_*.jpg"
_HOW = (
    f"Get {_TABLES[0]} and ISIC_2020_Training_JPEG.zip (23 GB) from https://challenge2020.isic-archive.com, and unpack "
    "the latter there."
)
_STREAM = 0x151C  # keeps these draws apart from others of the same seed


def isic2020(*, balanced: int | None = None, sample: int | None = None, seed: int = 42) -> Dataset:
    """33,126 dermoscopic photographs of 2,056 patients, 584 of melanoma: 60 % train, 20 % val, 20 % test.

    The labels of the challenge's own test are not public, so its training images are divided, seeded, with all of a
    patient on one side and the patients with melanoma in the same proportion on each. So few melanomas make accuracy
    useless: look at balanced_accuracy or auroc.

    `balanced=575` takes so many images of each class only. With `sample` they are dealt out as in a published
    comparison that had 1,150 such images (which ones, it does not say): `balanced=575, sample=10` gives 7 train and 2
    val of each class, 100 gives 74 and 25, 1000 gives 344 and 115, the others test. Patients are not kept together
    then.

    A local copy, in the data folder as isic2020. Ids are the names of the files, such as ISIC_2637011.jpg. Some images
    are there twice, which the makers list in ISIC_2020_Training_Duplicates.csv; they are kept, and where patients are
    not kept together, `eyechart audit` tells how many are on two sides.

    Source: V. Rotemberg et al., A Patient-Centric Dataset of Images and Metadata for Identifying Melanomas Using
    Clinical Context, Scientific Data 8, 2021 (CC BY-NC 4.0).
    """
    if seed < 0 or (balanced is not None and balanced < 5):
        raise EyechartError(f"isic2020: balanced must be at least 5 and seed at least 0; got {balanced} and {seed}.")
    root = obtain_local(FOLDER, _LAYOUT, _HOW)
    repair = f"the folder must hold {_LAYOUT}. {_HOW}"
    names, patients, labels = _table(root, repair)
    warn_if_partial(root, "ISIC 2020", {"training": names}, IMAGES)
    chosen = np.arange(len(names)) if balanced is None else _balanced(labels, balanced, seed)
    members = [(f"{names[row]}.jpg", CLASSES[labels[row]]) for row in chosen]
    images = whole(root / "train", members, CLASSES, repair, groups=[patients[row] for row in chosen])
    return _divided(images, seed) if sample is None else sampled(images, sample, seed=seed, what="isic2020")


def _table(root: Path, repair: str) -> tuple[list[str], list[str], Int64[np.ndarray, " n"]]:
    """Give name, patient and label of each image."""
    path = next((root / name for name in _TABLES if (root / name).is_file()), root / _TABLES[0])
    names, patients, targets = columns(path, ("image_name", "patient_id", "target"), repair)
    if odd := next((one for one in targets if one not in {"0", "1"}), None):
        raise EyechartError(f"{path} has {odd!r} as target, which is 0 or 1; {repair}")
    return names, patients, np.array(targets, dtype=np.int64)


def _balanced(labels: Int64[np.ndarray, " n"], number: int, seed: int) -> Int64[np.ndarray, " m"]:
    fewest = int(np.bincount(labels, minlength=len(CLASSES)).min())
    if fewest < number:
        raise EyechartError(f"isic2020: balanced must be at most the {fewest} images of the rarer class; got {number}.")
    generator = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    members = [generator.permutation(np.flatnonzero(labels == label)) for label in range(len(CLASSES))]
    return np.sort(np.concatenate([of_class[:number] for of_class in members]))


def _divided(images: Images, seed: int) -> Dataset:
    """Stratify by patient: by image, a patient with ten benign images and one melanoma would count as benign."""
    patients: Sequence[str] = images.groups or ()
    affected = {patient for patient, label in zip(patients, images.labels.tolist(), strict=True) if label}
    strata = np.array([patient in affected for patient in patients], dtype=np.int64)
    drawn = draw(dataclasses.replace(images, labels=strata), {"train": 0.6, "val": 0.2, "test": 0.2}, seed=seed)
    return {split: rows(images, chosen) for split, chosen in drawn.items()}
