import numpy as np
import pytest

from archives import md5
from eyechart.datasets import patternnet, ucmerced
from eyechart.errors import Unavailable
from miniatures import (
    NOWHERE,
    assert_conforms,
    assert_pixels_are_those_of,
    named,
    offline,
    opened,
    pack,
    sizes,
    write_lines,
)
from samples import refuses, write_images

SCENES = ("beach", "bridge", "runway")
UC_CLASSES = (
    *("agricultural", "airplane", "baseballdiamond", "beach", "buildings", "chaparral", "denseresidential"),
    *("forest", "freeway", "golfcourse", "harbor", "intersection", "mediumresidential", "mobilehomepark"),
    *("overpass", "parkinglot", "river", "runway", "sparseresidential", "storagetanks", "tenniscourt"),
)
LISTS = {
    "train": [("river", n) for n in range(9, -1, -1)] + [("beach", n) for n in range(8)] + [("runway", 1)],
    "val": [("beach", 9), ("river", 10)],
    "test": [("river", 11), ("beach", 8), ("beach", 11)],
}


@pytest.fixture
def pattern(tmp_path, monkeypatch):
    """PatternNet's layout: images/<class>/<class>001.jpg."""
    offline(monkeypatch, patternnet, "ARCHIVE")
    monkeypatch.setattr(patternnet, "CLASSES", SCENES)
    monkeypatch.setattr(patternnet, "IMAGES", 60)
    root = tmp_path / "data" / "PatternNet" / "images"
    return write_images(root, [f"{name}/{name}{n:03d}.jpg" for name in SCENES for n in range(1, 21)])


@pytest.fixture
def merced(tmp_path, monkeypatch):
    """UC Merced's layout, and the lists beside it."""
    offline(monkeypatch, ucmerced, "ARCHIVE")
    root = tmp_path / "data" / "UCMerced_LandUse" / "Images"
    write_images(root, [f"{name}/{name}{n:02d}.tif" for name in ("river", "beach", "runway") for n in range(12)])
    for split, members in LISTS.items():
        publish(monkeypatch, tmp_path / "data", split, [f"{name}{n:02d}.tif" for name, n in members])
    return root


def publish(monkeypatch, data, split, lines):
    """Write a list into the data folder and let it be the published one."""
    path = write_lines(data / f"uc_merced-{split}.txt", *lines)
    known = ucmerced.LISTS[split]
    changed = ucmerced.Download(f"{NOWHERE}/{path.name}", md5(path.read_bytes()), known.path, known.megabytes)
    monkeypatch.setitem(ucmerced.LISTS, split, changed)


def test_the_files_are_those_that_torchgeo_downloads():
    assert patternnet.ARCHIVE.url == (
        "https://huggingface.co/datasets/torchgeo/PatternNet/resolve/2dbd901b00e301967a5c5146b25454f5d3455ad0/"
        "PatternNet.zip"
    )
    assert patternnet.ARCHIVE.checksum == "md5:96d54b3224c5350a98d55d5a7e6984ad"
    at = "https://huggingface.co/datasets/torchgeo/ucmerced/resolve/7c5ef3454d9b1cccfa7ccde0c01fc8f00a45909a"
    assert ucmerced.ARCHIVE.url == f"{at}/UCMerced_LandUse.zip"
    assert ucmerced.ARCHIVE.checksum == "md5:5b7ec56793786b6dc8a908e8854ac0e4"
    assert {(split, file.url, file.checksum, file.path) for split, file in ucmerced.LISTS.items()} == {
        (split, f"{at}/uc_merced-{split}.txt", f"md5:{checksum}", f"uc_merced-{split}.txt")
        for split, checksum in (
            ("train", "f2fb12eb2210cfb53f93f063a35ff374"),
            ("val", "11ecabfc52782e5ea6a9c7c0d263aca0"),
            ("test", "046aff88472d8fc07c4678d03749e28d"),
        )
    }


def test_classes_are_21_and_38_in_alphabetical_order():
    assert ucmerced.CLASSES == UC_CLASSES == tuple(sorted(UC_CLASSES))
    assert len(patternnet.CLASSES) == 38
    assert tuple(sorted(set(patternnet.CLASSES))) == patternnet.CLASSES
    assert patternnet.IMAGES == 38 * 800


def test_patternnet_is_divided_in_sixty_twenty_and_twenty_percent_of_each_class(pattern):
    data = opened("patternnet")
    assert sizes(data) == {"train": 36, "val": 12, "test": 12}
    for split, each in (("train", 12), ("val", 4), ("test", 4)):
        assert np.bincount(data[split].labels).tolist() == [each] * 3
        assert all(name.split("/")[0] == known for name, known in named(data[split]))
    assert len({name for images in data.values() for name in images.ids}) == 60
    assert_pixels_are_those_of(pattern, data["test"])


def test_a_sample_of_patternnet_is_drawn_from_all_images_and_shares_their_embedding(pattern):
    drawn, data = opened("patternnet"), opened("patternnet(sample=10)")
    assert sizes(data) == {"train": 21, "val": 6, "test": 33}
    assert np.bincount(data["train"].labels).tolist() == [7] * 3
    assert data["test"].base.pixels_key == drawn["test"].base.pixels_key
    assert opened("patternnet(sample=10, seed=1)")["train"].ids != data["train"].ids
    assert opened("patternnet(seed=1)")["train"].ids != drawn["train"].ids


def test_patternnet_is_unpacked_without_a_network(pattern, monkeypatch):
    before = {split: images.key for split, images in opened("patternnet").items()}
    pack(monkeypatch, patternnet)
    assert {split: images.key for split, images in opened("patternnet").items()} == before


def test_a_truncated_archive_of_patternnet_is_named(pattern, monkeypatch):
    pack(monkeypatch, patternnet, cut=100)
    with refuses("PatternNet.zip is damaged, incomplete or another file"):
        opened("patternnet")


def test_a_missing_image_of_patternnet_is_noticed(pattern):
    (pattern / "bridge" / "bridge007.jpg").unlink()
    with refuses("PatternNet/images has 59 images and must have 60", "Move"):
        opened("patternnet")


def test_a_class_that_patternnet_does_not_have_is_named(pattern, caplog):
    (pattern / "moon").mkdir()
    opened("patternnet")
    assert "PatternNet/images: these folders are of none of the 3 classes: moon" in caplog.text


def test_patternnet_without_its_images_says_what_the_folder_must_hold(tmp_path, monkeypatch):
    (tmp_path / "data" / "PatternNet").mkdir(parents=True)
    with refuses("there is no folder", "PatternNet/images", "the folder must hold images/<class>/*.jpg"):
        opened("patternnet")


@pytest.mark.parametrize(("name", "module"), [("patternnet", patternnet), ("ucmerced", ucmerced)])
def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(name, module, tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data"), module.ARCHIVE.layout, module.ARCHIVE.name) as caught:
        opened(name)
    assert isinstance(caught.value, Unavailable)


def test_all_that_ucmerced_lacks_is_said_at_once(monkeypatch):
    offline(monkeypatch, ucmerced, "ARCHIVE")
    with refuses("UCMerced_LandUse.zip", "Besides: ", "uc_merced-train.txt", "uc_merced-val.txt", "uc_merced-test.txt"):
        opened("ucmerced")


def test_ucmerced_has_the_splits_of_the_lists_in_their_order(merced):
    data = opened("ucmerced")
    for split, members in LISTS.items():
        assert named(data[split]) == [(f"{name}/{name}{n:02d}.tif", name) for name, n in members]
        assert data[split].classes == UC_CLASSES
    assert_pixels_are_those_of(merced, data["train"])


def test_a_sample_of_ucmerced_is_drawn_from_train_alone(merced, tmp_path, monkeypatch):
    lines = [f"{name}{n:02d}.tif" for n in range(8) for name in ("river", "beach")]
    publish(monkeypatch, tmp_path / "data", "train", lines)
    train, data = opened("ucmerced")["train"], opened("ucmerced(sample=100)")
    assert sizes(data) == {"train": 8, "val": 2, "test": 6}  # of 8 of each class: 4, 1 and 3
    assert data["test"].base.pixels_key == train.pixels_key


def test_a_seed_without_a_sample_is_refused_as_the_lists_are_not_drawn(merced):
    with refuses("ucmerced: seed=1 is for sample"):
        opened("ucmerced(seed=1)")


def test_ucmerced_is_unpacked_without_a_network(merced, monkeypatch):
    before = {split: images.key for split, images in opened("ucmerced").items()}
    pack(monkeypatch, ucmerced)
    assert {split: images.key for split, images in opened("ucmerced").items()} == before


def test_a_truncated_archive_of_ucmerced_is_named(merced, monkeypatch):
    pack(monkeypatch, ucmerced, cut=100)
    with refuses("UCMerced_LandUse.zip is damaged, incomplete or another file"):
        opened("ucmerced")


def test_a_missing_list_of_ucmerced_is_named(merced, tmp_path):
    path = tmp_path / "data" / "uc_merced-val.txt"
    path.unlink()
    with refuses(f"there is no {path}", f"downloading {NOWHERE}/uc_merced-val.txt failed") as caught:
        opened("ucmerced")
    assert isinstance(caught.value, Unavailable)


def test_a_changed_list_of_ucmerced_is_named_by_its_checksum(merced, tmp_path):
    write_lines(tmp_path / "data" / "uc_merced-val.txt", "river00.tif")
    with refuses("uc_merced-val.txt is damaged, incomplete or another file"):
        opened("ucmerced")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("moon03.tif", "moon/moon03.tif is listed with the class 'moon', which is none of the 21"),
        ("river.tif", "names 'river.tif', and not an image such as river00.tif"),
        ("river03.tif.bak", "names 'river03.tif.bak', and not an image such as river00.tif"),
        ("../river03.tif", "names '../river03.tif', and not an image such as river00.tif"),
        ("river77.tif", "though it is listed"),
        ("river09.tif", "2 images have the id river/river09.tif"),
    ],
)
def test_a_line_that_cannot_be_is_named(line, words, merced, tmp_path, monkeypatch):
    publish(monkeypatch, tmp_path / "data", "test", [line])
    with refuses(words):
        opened("ucmerced")


@pytest.mark.parametrize("spec", ["patternnet", "patternnet(sample=10)"])
def test_patternnet_keeps_the_promises_of_a_data_set(spec, pattern):
    assert_conforms(spec)


def test_ucmerced_keeps_the_promises_of_a_data_set(merced):
    assert_conforms("ucmerced")
