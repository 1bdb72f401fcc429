"""The UC Merced land use images, divided as Neumann et al. (2019) divided them."""

import re
from pathlib import Path

from eyechart.datasets._download import Archive, Download, mend, obtain_all
from eyechart.datasets._lists import cells, listed
from eyechart.datasets._sampling import resampled
from eyechart.errors import EyechartError
from eyechart.types import Dataset

_URL = "https://huggingface.co/datasets/torchgeo/ucmerced/resolve/7c5ef3454d9b1cccfa7ccde0c01fc8f00a45909a/"
ARCHIVE = Archive(
    url=f"{_URL}UCMerced_LandUse.zip",
    checksum="md5:5b7ec56793786b6dc8a908e8854ac0e4",
    folder="UCMerced_LandUse",
    layout="Images/<class>/*.tif",
    megabytes=332,
)
_CHECKSUMS = {
    "train": "md5:f2fb12eb2210cfb53f93f063a35ff374",
    "val": "md5:11ecabfc52782e5ea6a9c7c0d263aca0",
    "test": "md5:046aff88472d8fc07c4678d03749e28d",
}
LISTS = {
    split: Download(url=f"{_URL}uc_merced-{split}.txt", checksum=checksum, path=f"uc_merced-{split}.txt", megabytes=1)
    for split, checksum in _CHECKSUMS.items()
}
CLASSES = (
    "agricultural", "airplane", "baseballdiamond", "beach", "buildings", "chaparral", "denseresidential", "forest",
    "freeway", "golfcourse", "harbor", "intersection", "mediumresidential", "mobilehomepark", "overpass", "parkinglot",
    "river", "runway", "sparseresidential", "storagetanks", "tenniscourt",
)  # fmt: skip


def ucmerced(*, sample: int | None = None, seed: int = 42) -> Dataset:
    """2,100 aerial images of about 256 x 256 pixels in 21 classes of land use: 1,260 train, 420 val, 420 test.

    The makers divided nothing; these are the lists of Neumann et al. (2019), which torchgeo uses, too. They are random
    and not stratified: a class has about 60 images in train. Ids are the paths below Images, such as
    river/river00.tif.

    `sample=10` (or 100) deals the 1,260 of train out anew, as a published comparison did: 7 train and 2 val (27 and 9)
    of each class, the others test; another `seed`, another draw. (27 and 9 follow where the smallest class of train
    has 47 images, as the comparison's sizes imply.)

    Found in the data folder as UCMerced_LandUse or UCMerced_LandUse.zip, and uc_merced-train.txt, uc_merced-val.txt and
    uc_merced-test.txt, else downloaded there (332 MB).

    Source: Y. Yang and S. Newsam, Bag-of-Visual-Words and Spatial Extensions for Land-Use Classification, ACM GIS 2010
    (public domain). Lists: M. Neumann, A. Pinto, X. Zhai and N. Houlsby, In-domain Representation Learning for Remote
    Sensing, arXiv 1911.06721.
    """
    folder, *lists = obtain_all(ARCHIVE, *LISTS.values())
    files = {split: _members(path) for split, path in zip(LISTS, lists, strict=True)}
    data = listed(folder / "Images", files, CLASSES, mend(ARCHIVE))
    return resampled(data, sample, seed=seed, what="ucmerced")


def _members(path: Path) -> list[tuple[str, str]]:
    """Give the file and the class of each line, such as river00.tif."""
    repair = f"delete {path}, and the next run downloads it again."
    members = []
    for (name,) in cells(path, 1, repair):
        known = re.fullmatch(r"([a-z]+)\d+\.tif", name)
        if not known:
            raise EyechartError(f"{path} names {name[:80]!r}, and not an image such as river00.tif; {repair}")
        members.append((f"{known[1]}/{name}", known[1]))
    return members
