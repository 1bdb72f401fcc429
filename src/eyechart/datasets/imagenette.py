"""Imagenette: ten easily told classes of ImageNet."""

from typing import Literal

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._folders import by_class, check_count
from eyechart.datasets._official import check_drawing, from_files
from eyechart.datasets._wordnet import class_names
from eyechart.types import Dataset

PART_OF = ("imagenet",)
_PLACE = "https://s3.amazonaws.com/fast-ai-imageclas/"
_LAYOUT = "train/<wnid>/*.JPEG, val/<wnid>/*.JPEG"
ARCHIVES = {
    160: Archive(
        f"{_PLACE}imagenette2-160.tgz", "md5:e793b78cc4c9e9a4ccc0c1155377a412", "imagenette2-160", _LAYOUT, 99
    ),
    320: Archive(
        f"{_PLACE}imagenette2-320.tgz", "md5:3df6f0d01a2c9592104656642f5e78a3", "imagenette2-320", _LAYOUT, 342
    ),
    "full": Archive(f"{_PLACE}imagenette2.tgz", "md5:fe2fc210e6bb7c5664d602c3cd71e612", "imagenette2", _LAYOUT, 1557),
}
WNIDS = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)
TRAIN, TEST = 9_469, 3_925  # images


def imagenette(
    *,
    size: Literal[160, 320, "full"] = 320,
    names: Literal["wnid", "words"] = "wnid",
    val: float = 0.1,
    seed: int = 42,
) -> Dataset:
    """13,394 photographs in 10 classes of ImageNet: some 8,520 train, 950 val, and the official validation as test.

    val is the share `val` of each class of the official train, drawn with `seed`. `size` is the length of the shorter
    side, or "full" for the original images. Classes are ImageNet's numbers; `names="words"` calls them by name:
    tench, English springer, cassette player, chain saw, church, French horn, garbage truck, gas pump, golf ball,
    parachute. Ids are the paths of the files.

    Found in the data folder as imagenette2-320 or imagenette2-320.tgz, else downloaded there (342 MB; 160: 99 MB, full:
    1.6 GB).

    Source: J. Howard, Imagenette, version 2 of December 2019, github.com/fastai/imagenette (Apache 2.0; the images are
    ImageNet's).
    """
    check_drawing("imagenette", val, seed)
    archive = ARCHIVES[size]
    folder = obtain(archive)
    called = class_names(WNIDS, names)
    files = {}
    for split, below, count in (("train", "train", TRAIN), ("test", "val", TEST)):
        found = by_class(folder / below, WNIDS, mend(archive))
        check_count(folder / below, len(found), count, mend(archive))
        files[split] = [(f"{below}/{path}", called[wnid]) for path, wnid in found]
    return from_files(folder, files, list(called.values()), val=val, seed=seed)
