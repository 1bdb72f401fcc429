"""Food-101: the official lists, and a val drawn from train."""

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._lists import cells, listed
from eyechart.datasets._official import check_drawing, warn_if_partial
from eyechart.types import Dataset

ARCHIVE = Archive(
    url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    checksum="md5:85eeb15f3717b99a5da872d97d918f87",
    folder="food-101",
    layout="images/<class>/*.jpg, meta/classes.txt, meta/train.txt, meta/test.txt",
    megabytes=4996,
)
IMAGES = {"train": 75_750, "test": 25_250}


def food101(*, val: float = 0.1, seed: int = 42) -> Dataset:
    """101,000 photographs of dishes in 101 classes: 68,175 train, 7,575 val, the official 25,250 test.

    There is no official val: the share `val` of each class is drawn from the official 75,750 of train, seeded, exact
    duplicates on one side. Some labels of train are wrong on purpose, those of test were checked. Ids are the paths
    below images, such as apple_pie/1005649.jpg.

    Found in the data folder as food-101 or food-101.tar.gz, else downloaded there (5 GB).

    Source: L. Bossard, M. Guillaumin and L. Van Gool, Food-101: Mining Discriminative Components with Random Forests,
    ECCV 2014 (images of foodspotting.com, for scientific fair use).
    """
    check_drawing("food101", val, seed)
    folder = obtain(ARCHIVE)
    repair = mend(ARCHIVE)
    classes = [row[0] for row in cells(folder / "meta" / "classes.txt", 1, repair)]
    files = {
        split: [
            (f"{name}/{number}.jpg", name)
            for name, number in cells(folder / "meta" / f"{split}.txt", 2, repair, separator="/")
        ]
        for split in ("train", "test")
    }
    warn_if_partial(folder, "Food-101", files, IMAGES)
    return listed(folder / "images", files, classes, repair, val=val, seed=seed)
