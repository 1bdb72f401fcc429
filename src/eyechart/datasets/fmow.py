"""Functional Map of the World, as WILDS divides it by years and regions."""

import logging
from pathlib import Path
from typing import Literal, NamedTuple

from eyechart.datasets._download import obtain_local
from eyechart.datasets._lists import listed
from eyechart.datasets._official import warn_if_partial
from eyechart.datasets._wilds import columns, with_few
from eyechart.errors import EyechartError
from eyechart.types import Dataset

log = logging.getLogger("eyechart")
FOLDER = "fmow_v1.1"
_LAYOUT = "rgb_metadata.csv, country_code_mapping.csv, images/rgb_img_<row>.png"
_HOW = (
    "Get version 1.1 (54 GB) from https://wilds.stanford.edu/datasets or with the library wilds, "
    'get_dataset("fmow", download=True), and put it there.'
)
_OTHER = "Other"  # the region of a country that the mapping does not know
IMAGES = {"train": 76_863, "val": 11_483, "test": 11_327, "val/ood": 19_915, "test/ood": 22_108}
_VAL, _TEST = 2013, 2016  # the first years that are out of distribution
CLASSES = (
    "airport", "airport_hangar", "airport_terminal", "amusement_park", "aquaculture", "archaeological_site", "barn",
    "border_checkpoint", "burial_site", "car_dealership", "construction_site", "crop_field", "dam",
    "debris_or_rubble", "educational_institution", "electric_substation", "factory_or_powerplant", "fire_station",
    "flooded_road", "fountain", "gas_station", "golf_course", "ground_transportation_station", "helipad", "hospital",
    "impoverished_settlement", "interchange", "lake_or_pond", "lighthouse", "military_facility",
    "multi-unit_residential", "nuclear_powerplant", "office_building", "oil_or_gas_facility", "park",
    "parking_lot_or_garage", "place_of_worship", "police_station", "port", "prison", "race_track", "railway_bridge",
    "recreational_facility", "road_bridge", "runway", "shipyard", "shopping_mall", "single-unit_residential",
    "smokestack", "solar_farm", "space_facility", "stadium", "storage_tank", "surface_mine", "swimming_pool",
    "toll_booth", "tower", "tunnel_opening", "waste_disposal", "water_treatment_facility", "wind_farm", "zoo",
)  # fmt: skip


def fmow(*, groups: Literal["region", "year"] = "region", sample: int | None = None, seed: int = 42) -> Dataset:
    """141,696 satellite images of 224 x 224 pixels in 62 classes of land use: learn from years before 2013, test later.

    The official splits of WILDS: train (76,863), val and test (its id_val, 11,483, and id_test, 11,327) are before
    2013, val/ood (its val, 19,915) from 2013 to 2015, test/ood (its test, 22,108) from 2016 on. Group of an image: the
    region of its country, or its year. WILDS reports average and worst-region accuracy, without the region "Other".

    `sample=10` (100, 1000) learns from few images of each class, as a published comparison did: 7 train and 2 val (74
    and 25, 749 and 250), or all of a class that has fewer; another `seed`, another draw. Val is drawn from years before
    2013; by its sizes, the comparison seems to have taken images of 2013 to 2015.

    A local copy, in the data folder as fmow_v1.1. The number in the name of an image counts all rows of the table, also
    those of the split seq, which are not used. Ids are the names, such as rgb_img_17.png.

    Source: P. W. Koh et al., WILDS: A Benchmark of in-the-Wild Distribution Shifts, ICML 2021; G. Christie et al.,
    Functional Map of the World, CVPR 2018 (FMoW Challenge Public License).
    """
    root = obtain_local(FOLDER, _LAYOUT, _HOW)
    repair = f"the folder must hold {_LAYOUT}. {_HOW}"
    codes, regions = columns(root / "country_code_mapping.csv", ("alpha-3", "region"), repair)
    region = {code: name or _OTHER for code, name in zip(codes, regions, strict=True)}
    files: dict[str, list[tuple[str, str]]] = {}
    told: dict[str, list[str]] = {}
    for one in _used(root / "rgb_metadata.csv", repair):
        files.setdefault(one.split, []).append((f"rgb_img_{one.row}.png", one.category))
        group = str(one.year) if groups == "year" else region.get(one.country, _OTHER)
        told.setdefault(one.split, []).append(group)
    files = {split: files[split] for split in IMAGES if split in files}
    warn_if_partial(root, "FMoW", files, IMAGES)
    data = listed(root / "images", files, CLASSES, repair, groups={split: told[split] for split in files})
    return with_few(data, sample, seed=seed, what="fmow")


class _Row(NamedTuple):
    """A row of the table whose image is used."""

    row: int
    split: str
    category: str
    year: int
    country: str


def _used(table: Path, repair: str) -> list[_Row]:
    found, unused = [], 0
    told = columns(table, ("split", "category", "timestamp", "country_code"), repair)
    for row, (official, category, time, country) in enumerate(zip(*told, strict=True)):
        if official == "seq":
            continue
        if official not in {"train", "val", "test"} or not time[:4].isdecimal():
            raise EyechartError(f"{table}, line {row + 2}: {official!r} or {time!r} is no split or time; {repair}")
        year = int(time[:4])
        if split := _split(official, year):
            found.append(_Row(row, split, category, year, country))
        else:
            unused += 1
    log.info("fmow: %d images that WILDS does not use either (such as train after 2012) are left out", unused)
    return found


def _split(official: str, year: int) -> str | None:
    """Give the split of an image: WILDS takes the later years of val and of test only, and none twice."""
    if year < _VAL:
        return official
    late = "test" if year >= _TEST else "val"
    return f"{late}/ood" if official == late else None
