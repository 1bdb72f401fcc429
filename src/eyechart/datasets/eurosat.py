"""EuroSAT in RGB: splits that are drawn, as there are no official ones."""

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._folders import by_class, check_count
from eyechart.datasets._lists import whole
from eyechart.datasets._sampling import divided
from eyechart.types import Dataset

_REVISION = "c877bcd43f099cd0196738f714544e355477f3fd"
ARCHIVE = Archive(
    url=f"https://huggingface.co/datasets/torchgeo/eurosat/resolve/{_REVISION}/EuroSAT.zip",
    checksum="md5:c8fa014336c82ac7804f0398fcb19387",
    folder="eurosat/2750",
    layout="<class>/*.jpg",
    megabytes=94,
)
IMAGES = 27_000
CLASSES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial",
    "Pasture", "PermanentCrop", "Residential", "River", "SeaLake",
)  # fmt: skip


def eurosat(*, seed: int = 42) -> Dataset:
    """27,000 satellite images of 64 x 64 pixels in 10 classes of land use: 60 % train, 20 % val, 20 % test.

    There are no official splits. These are drawn, stratified and seeded, exact duplicates on one side; other papers
    draw others, so compare with care. All are rows of one whole: another seed embeds nothing again. Ids are the paths,
    such as Forest/Forest_1.jpg.

    Found in the data folder as eurosat/2750 or eurosat/EuroSAT.zip, else downloaded there (94 MB).

    Source: P. Helber, B. Bischke, A. Dengel and D. Borth, EuroSAT: A Novel Dataset and Deep Learning Benchmark for Land
    Use and Land Cover Classification, IEEE JSTARS 12, 2019 (MIT; Sentinel-2 data).
    """
    folder = obtain(ARCHIVE)
    repair = mend(ARCHIVE)
    members = by_class(folder, CLASSES, repair)
    check_count(folder, len(members), IMAGES, repair)
    return divided(whole(folder, members, CLASSES, repair), seed=seed, what="eurosat")
