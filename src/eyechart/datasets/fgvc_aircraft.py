"""FGVC-Aircraft: the official lists, at three levels of detail."""

from typing import Literal

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._lists import cells, listed
from eyechart.datasets._official import warn_if_partial
from eyechart.datasets._sampling import resampled
from eyechart.types import Dataset

ARCHIVE = Archive(
    url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
    checksum="md5:d4acdd33327262359767eeaa97a4f732",
    folder="fgvc-aircraft-2013b",
    layout="data/images/*.jpg, data/variants.txt, data/images_variant_train.txt and so on",
    megabytes=2753,
)
IMAGES = {"train": 3334, "val": 3333, "test": 3333}
_CLASSES = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}


def fgvc_aircraft(
    *,
    level: Literal["variant", "family", "manufacturer"] = "variant",
    sample: int | None = None,
    seed: int = 42,
) -> Dataset:
    """10,000 photographs of aircraft, divided officially: 3,334 train, 3,333 val, 3,333 test.

    `level` says what a class is: one of 100 variants (Boeing 737-700), 70 families (Boeing 737) or 30 manufacturers
    (Boeing). The images and their order (of their ids, the file names) are those of every level, so they are embedded
    once. The line of text at the bottom of each image, 20 pixels high, is left in.

    `sample=10` (or 100) deals train out anew, as a published comparison of the variants did: 7 train and 2 val (19 and
    6) of each class, the others test; another `seed`, another draw.

    Found in the data folder as fgvc-aircraft-2013b or fgvc-aircraft-2013b.tar.gz, else downloaded there (2.8 GB).

    Source: S. Maji, E. Rahtu, J. Kannala, M. Blaschko and A. Vedaldi, Fine-Grained Visual Classification of Aircraft,
    arXiv 1306.5151, 2013 (for research that is not commercial).
    """
    folder = obtain(ARCHIVE) / "data"
    repair = mend(ARCHIVE)
    classes = [row[0] for row in cells(folder / _CLASSES[level], 1, repair)]
    files = {
        split: sorted(
            (f"{number}.jpg", name) for number, name in cells(folder / f"images_{level}_{split}.txt", 2, repair)
        )
        for split in ("train", "val", "test")
    }
    warn_if_partial(folder, "FGVC-Aircraft", files, IMAGES)
    data = listed(folder / "images", files, classes, repair)
    return resampled(data, sample, seed=seed, what="fgvc_aircraft")
