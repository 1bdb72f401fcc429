"""The Describable Textures Dataset: ten official divisions."""

from itertools import chain

import numpy as np

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._lists import cells, whole
from eyechart.datasets._official import warn_if_partial
from eyechart.datasets._sampling import resampled
from eyechart.errors import EyechartError
from eyechart.images.views import rows
from eyechart.types import Dataset

ARCHIVE = Archive(
    url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
    checksum="md5:fff73e5086ae6bdbea199a49dfb8a4c1",
    folder="dtd",
    layout="images/<class>/*.jpg, labels/train1.txt to labels/test10.txt",
    megabytes=625,
)
IMAGES = {"train": 1880, "val": 1880, "test": 1880}
_PARTITIONS = 10


def dtd(*, partition: int = 1, sample: int | None = None, seed: int = 42) -> Dataset:
    """5,640 photographs of textures in 47 classes, divided officially: 1,880 train, 1,880 val, 1,880 test.

    `partition` is one of the ten official divisions of the same images; results in papers are of the first, or the
    mean of all. Each split has 40 of each class. All splits of all divisions are rows of one whole, embedded once.
    Ids are the paths below images, such as banded/banded_0002.jpg.

    `sample=10` (or 100) deals train out anew, as a published comparison did: 7 train and 2 val (23 and 8) of each
    class, the others test; another `seed`, another draw.

    Found in the data folder as dtd or dtd-r1.0.1.tar.gz, else downloaded there (625 MB).

    Source: M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed and A. Vedaldi, Describing Textures in the Wild, CVPR 2014 (for
    research).
    """
    if not 1 <= partition <= _PARTITIONS:
        raise EyechartError(f"dtd: partition must be between 1 and {_PARTITIONS}; got {partition}.")
    folder = obtain(ARCHIVE)
    if (folder / "dtd").is_dir():  # as torchvision unpacks it
        folder /= "dtd"
    repair = mend(ARCHIVE)
    names = {
        split: ["/".join(row) for row in cells(folder / "labels" / f"{split}{partition}.txt", 2, repair, separator="/")]
        for split in ("train", "val", "test")
    }
    warn_if_partial(folder, "DTD", names, IMAGES)
    every = sorted(chain(*names.values()))
    classes = sorted({name.partition("/")[0] for name in every})
    images = whole(folder / "images", [(name, name.partition("/")[0]) for name in every], classes, repair)
    position = {name: row for row, name in enumerate(every)}
    data = {split: rows(images, np.array([position[name] for name in chosen])) for split, chosen in names.items()}
    return resampled(data, sample, seed=seed, what="dtd")
