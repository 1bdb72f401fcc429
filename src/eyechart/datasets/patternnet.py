"""PatternNet: splits that are drawn, as there are no official ones."""

from eyechart.datasets._download import Archive, mend, obtain
from eyechart.datasets._folders import by_class, check_count
from eyechart.datasets._lists import whole
from eyechart.datasets._sampling import divided, sampled
from eyechart.types import Dataset

_REVISION = "2dbd901b00e301967a5c5146b25454f5d3455ad0"
ARCHIVE = Archive(
    url=f"https://huggingface.co/datasets/torchgeo/PatternNet/resolve/{_REVISION}/PatternNet.zip",
    checksum="md5:96d54b3224c5350a98d55d5a7e6984ad",
    folder="PatternNet",
    layout="images/<class>/*.jpg",
    megabytes=1430,
)
IMAGES = 30_400
CLASSES = (
    "airplane", "baseball_field", "basketball_court", "beach", "bridge", "cemetery", "chaparral",
    "christmas_tree_farm", "closed_road", "coastal_mansion", "crosswalk", "dense_residential", "ferry_terminal",
    "football_field", "forest", "freeway", "golf_course", "harbor", "intersection", "mobile_home_park", "nursing_home",
    "oil_gas_field", "oil_well", "overpass", "parking_lot", "parking_space", "railway", "river", "runway",
    "runway_marking", "shipping_yard", "solar_panel", "sparse_residential", "storage_tank", "swimming_pool",
    "tennis_court", "transformer_station", "wastewater_treatment_plant",
)  # fmt: skip


def patternnet(*, sample: int | None = None, seed: int = 42) -> Dataset:
    """30,400 aerial images of 256 x 256 pixels in 38 classes, 800 each: 60 % train, 20 % val, 20 % test.

    There are no official splits. These are drawn, stratified and seeded, exact duplicates on one side. With `sample`
    they are those of a published comparison, whose pool was all images: 7 train and 2 val of each class for 10, 74 and
    25 for 100, 479 and 160 for 1000, the others test. All are rows of one whole: neither option embeds anything again.
    Ids are the paths below images, such as beach/beach001.jpg.

    Found in the data folder as PatternNet or PatternNet.zip, else downloaded there (1.4 GB).

    Source: W. Zhou, S. Newsam, C. Li and Z. Shao, PatternNet: A Benchmark Dataset for Performance Evaluation of Remote
    Sensing Image Retrieval, ISPRS Journal of Photogrammetry and Remote Sensing 145, 2018 (CC BY 4.0).
    """
    folder = obtain(ARCHIVE)
    repair = mend(ARCHIVE)
    members = by_class(folder / "images", CLASSES, repair)
    check_count(folder / "images", len(members), IMAGES, repair)
    images = whole(folder / "images", members, CLASSES, repair)
    if sample is None:
        return divided(images, seed=seed, what="patternnet")
    return sampled(images, sample, seed=seed, what="patternnet")
