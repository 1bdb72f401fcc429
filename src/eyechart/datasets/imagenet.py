"""ImageNet (ILSVRC 2012): a copy on this machine."""

from pathlib import Path
from typing import Literal

from eyechart.datasets._download import obtain_local
from eyechart.datasets._folders import by_class, check_count, folders_in, images_in
from eyechart.datasets._ilsvrc import validation_classes
from eyechart.datasets._official import check_drawing, from_files
from eyechart.datasets._wordnet import class_names
from eyechart.errors import EyechartError
from eyechart.types import Dataset

CLASSES, TRAIN, TEST = 1_000, 1_281_167, 50_000  # images
_LAYOUT = "train/<wnid>/*.JPEG, and val/<wnid>/*.JPEG or val/*.JPEG with the development kit"
_HOW = (
    "It cannot be downloaded without an account: register at image-net.org, agree to its terms (research, not for "
    "profit), unpack ILSVRC2012_img_train.tar, the archives of classes in it, and ILSVRC2012_img_val.tar."
)
_MEND = f"the folder must hold {_LAYOUT}: unpack what is missing."


def imagenet(*, names: Literal["wnid", "words"] = "wnid", val: float = 0.04, seed: int = 42) -> Dataset:
    """1,331,167 photographs in 1,000 classes: some 1,230,000 train, 51,000 val, the official validation as test.

    val is the share `val` of each class of the official train, drawn with `seed`. The official test has no labels and
    is not read. Classes are WordNet's numbers in their order, which is that of all published networks;
    `names="words"` calls them by name, such as tench. Ids are train/<wnid>/<file> and, of test, val/<file>.

    Read from the folder imagenet in the data folder, which may be a link: train/<wnid>/*.JPEG, and either
    val/<wnid>/*.JPEG or the 50,000 files of val side by side. Of these the classes are read from the development kit
    (ILSVRC2012_devkit_t12/data), or from LOC_val_solution.csv. All layouts have the same keys. It cannot be downloaded
    without an account; how to get it is said. The first opening reads every file once.

    Source: O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015 (for research).
    """
    check_drawing("imagenet", val, seed)
    root = obtain_local("imagenet", _LAYOUT, _HOW)
    wnids = _wnids(root / "train")
    called = class_names(wnids, names)
    train = by_class(root / "train", wnids, _MEND)
    check_count(root / "train", len(train), TRAIN, _MEND)
    test = _test(root, wnids)
    check_count(root / "val", len(test), TEST, _MEND)
    paths = {
        "train": [(f"train/{path}", called[wnid]) for path, wnid in train],
        "test": [(f"val/{path}", called[wnid]) for path, wnid in test],
    }
    ids = {
        "train": [path for path, _ in paths["train"]],
        "test": [f"val/{path.rpartition('/')[2]}" for path, _ in test],
    }
    return from_files(root, paths, list(called.values()), ids=ids, val=val, seed=seed)


def _wnids(folder: Path) -> list[str]:
    wnids = [name for name in folders_in(folder) if name[0] == "n" and name[1:].isdigit()]
    if len(wnids) != CLASSES:
        raise EyechartError(
            f"{folder} must have {CLASSES:,} folders of classes, such as n01440764; it has {len(wnids):,}. {_MEND}"
        )
    return wnids


def _test(root: Path, wnids: list[str]) -> list[tuple[str, str]]:
    """Give path and class of the images of val, in the order of the files' names, in whichever layout they lie."""
    folder = root / "val"
    flat = images_in(folder)
    sorted_in = [wnid for wnid in wnids if images_in(folder / wnid)]
    if flat and sorted_in:
        raise EyechartError(
            f"{folder} is sorted in part: {len(flat):,} images lie in it, others in {len(sorted_in):,} folders of "
            f"classes, such as {sorted_in[0]}. Sort the rest, or unpack ILSVRC2012_img_val.tar again."
        )
    found = list(zip(flat, validation_classes(root, flat, wnids), strict=True)) if flat else []
    found = found or by_class(folder, wnids, _MEND)
    return sorted(found, key=lambda one: one[0].rpartition("/")[2])
