import pytest

from eyechart import conformance, settings
from eyechart.datasets import fmow as fmow_module
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.registry import bind, entries
from samples import plain_encoder, refuses, write_images

# split, category, timestamp, country, and the split it is in; the number of an image is that of its row
FMOW = [
    ("train", "zoo", "2002-05-01T10:12:05Z", "KEN", "train"),
    ("seq", "zoo", "2014-05-01T10:12:05Z", "KEN", None),
    ("train", "dam", "2012-12-31T23:59:59Z", "FRA", "train"),
    ("train", "dam", "2013-01-01T00:00:00Z", "FRA", None),
    ("val", "zoo", "2010-05-01T10:12:05Z", "USA", "val"),
    ("val", "dam", "2013-01-01T00:00:00Z", "XXX", "val/ood"),
    ("val", "dam", "2015-12-31T23:59:59Z", "ATA", "val/ood"),
    ("val", "dam", "2016-01-01T00:00:00Z", "USA", None),
    ("seq", "dam", "2010-05-01T10:12:05Z", "USA", None),
    ("test", "zoo", "2009-05-01T10:12:05Z", "KEN", "test"),
    ("test", "zoo", "2014-05-01T10:12:05Z", "KEN", None),
    ("test", "zoo", "2016-01-01T00:00:00Z", "KEN", "test/ood"),
    ("test", "dam", "2017-08-01T00:00:00Z", "FRA", "test/ood"),
]
REGIONS = ["name,alpha-3,region", "Kenya,KEN,Africa", "France,FRA,Europe", "US,USA,Americas", "Antarctica,ATA,"]


def opened(spec):
    return bind("datasets", spec).call()


def write_fmow(root, rows=FMOW):
    root = root / "fmow_v1.1"
    write_images(root, [f"images/rgb_img_{number}.png" for number, row in enumerate(rows) if row[0] != "seq"])
    lines = ["split,img_filename,category,timestamp,country_code"]
    lines += [f"{split},x.jpg,{category},{time},{country}" for split, category, time, country, _ in rows]
    (root / "rgb_metadata.csv").write_text("\n".join(lines) + "\n")
    (root / "country_code_mapping.csv").write_text("\n".join(REGIONS) + "\n")
    return root


@pytest.fixture
def fmow(tmp_path):
    return write_fmow(tmp_path / "data")


def test_fmow_is_divided_by_year_and_by_the_official_split(fmow):
    data = opened("fmow")
    assert list(data) == ["train", "val", "test", "val/ood", "test/ood"]
    for split, images in data.items():
        expected = [f"rgb_img_{number}.png" for number, row in enumerate(FMOW) if row[4] == split]
        assert list(images.ids) == expected


def test_fmow_counts_rows_that_it_does_not_use(fmow):
    """An image's number is that of its row among all; a reader that drops rows first would show other images."""
    data = opened("fmow")
    told = {name: images.classes[images.labels[i]] for images in data.values() for i, name in enumerate(images.ids)}
    assert told == {f"rgb_img_{number}.png": row[1] for number, row in enumerate(FMOW) if row[4]}


@pytest.mark.parametrize(
    ("name", "said"),
    [("fmow", "FMoW; of its images it has 2 of 76,863 (train)"), ("iwildcam", "iWildCam; of its images it has")],
)
def test_that_they_are_not_all_there_is_said(name, said, fmow, iwildcam, caplog):
    opened(name)
    assert f"is not all of {said}" in caplog.text


def test_fmow_has_62_classes(fmow):
    classes = opened("fmow")["train"].classes
    assert len(classes) == 62
    assert classes == tuple(sorted(classes))


def test_fmow_groups_by_region_and_unknown_countries_are_other(fmow):
    data = opened("fmow")
    assert data["train"].groups == ("Africa", "Europe")
    assert data["val/ood"].groups == ("Other", "Other")


def test_fmow_groups_by_year_on_request(fmow):
    assert opened('fmow(groups="year")')["test/ood"].groups == ("2016", "2017")


def test_fmow_says_how_many_images_are_not_used(fmow, caplog):
    caplog.set_level("INFO")
    opened("fmow")
    assert "3 images that WILDS does not use either" in caplog.text


def test_fmow_learns_from_few_and_tests_on_all(tmp_path):
    rows = [("train", c, "2005-01-01T00:00:00Z", "FRA", "train") for c in ("dam", "zoo") for _ in range(12)]
    rows += [("val", c, "2006-01-01T00:00:00Z", "FRA", "val") for c in ("dam", "zoo") for _ in range(4)]
    rows += [("test", c, "2006-01-01T00:00:00Z", "FRA", "test") for c in ("dam", "zoo") for _ in range(5)]
    write_fmow(tmp_path / "data", rows)
    data = opened("fmow(sample=10)")
    assert {split: len(images) for split, images in data.items()} == {"train": 14, "val": 4, "test": 10}
    assert opened("fmow(sample=10, seed=1)")["train"].ids != data["train"].ids


def test_few_images_are_rows_of_the_whole(fmow, forwards):
    for spec in ("fmow", "fmow(sample=10)"):
        for images in opened(spec).values():
            embed(plain_encoder(), images)
    assert sum(forwards) == len([row for row in FMOW if row[4]])


@pytest.mark.parametrize(
    ("spec", "words"),
    [("fmow(seed=1)", ["seed=1", "sample=10"]), ("fmow(sample=3)", ["sample must be at least 4", "got 3"])],
)
def test_options_that_make_no_sense_are_refused(fmow, spec, words):
    with refuses(*words):
        opened(spec)


def test_without_fmow_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path):
    with refuses(str(tmp_path / "data" / "fmow_v1.1"), "rgb_metadata.csv", "rgb_img_<row>.png", "wilds") as caught:
        opened("fmow")
    assert isinstance(caught.value, Unavailable)


def test_a_missing_image_or_table_of_fmow_is_named(fmow):
    (fmow / "images" / "rgb_img_4.png").unlink()
    with refuses("rgb_img_4.png", "the folder must hold"):
        opened("fmow")
    (fmow / "country_code_mapping.csv").unlink()
    with refuses("country_code_mapping.csv", "No such file"):
        opened("fmow")


def test_a_table_of_fmow_without_its_columns_is_refused(fmow):
    (fmow / "rgb_metadata.csv").write_text("split,category\ntrain,zoo\n")
    with refuses("rgb_metadata.csv", "no CSV with the columns split, category, timestamp, country_code"):
        opened("fmow")


def test_a_time_that_is_none_is_refused_with_its_line(tmp_path):
    root = write_fmow(tmp_path / "data", FMOW[:3])
    text = (root / "rgb_metadata.csv").read_text().replace("2012-12-31T23:59:59Z", "soon")
    (root / "rgb_metadata.csv").write_text(text)
    with refuses("rgb_metadata.csv, line 4", "'soon'"):
        opened("fmow")


def test_the_years_are_those_of_wilds():
    assert (fmow_module._VAL, fmow_module._TEST) == (2013, 2016)


CAMERAS = [  # official split, file, class, camera, and the split it is in
    ("train", "a.jpg", 0, 12, "train"),
    ("train", "b.jpg", 2, 12, "train"),
    ("train", "c.jpg", 10, 3, "train"),
    ("id_val", "d.jpg", 2, 3, "val"),
    ("id_test", "e.jpg", 0, 12, "test"),
    ("val", "f.jpg", 2, 40, "val/ood"),
    ("test", "g.jpg", 10, 41, "test/ood"),
    ("test", "h.jpg", 2, 42, "test/ood"),
]


@pytest.fixture
def iwildcam(tmp_path):
    root = tmp_path / "data" / "iwildcam_v2.0"
    write_images(root, [f"train/{row[1]}" for row in CAMERAS])
    header = ",split,location_remapped,location,sequence_remapped,y,category_id,datetime,filename,image_id"
    lines = [
        f"{number},{split},{camera},{camera + 100},{number},{y},{y},2013-06-05 05:44:19.000,{name},i{number}"
        for number, (split, name, y, camera, _) in enumerate(CAMERAS)
    ]
    (root / "metadata.csv").write_text("\n".join([header, *lines]) + "\n")
    names = ["category_id,name,y", "0,empty,0", "4,tayassu pecari,2", "6,puma concolor,10", "7,nobody,99999"]
    (root / "categories.csv").write_text("\n".join(names) + "\n")
    return root


def test_iwildcam_has_the_official_splits_under_our_names(iwildcam):
    data = opened("iwildcam")
    assert list(data) == ["train", "val", "test", "val/ood", "test/ood"]
    for split, images in data.items():
        assert list(images.ids) == [row[1] for row in CAMERAS if row[4] == split]


def test_iwildcam_names_its_classes_in_the_order_of_their_numbers(iwildcam):
    data = opened("iwildcam")
    assert data["train"].classes == ("empty", "tayassu pecari", "puma concolor")
    assert data["test/ood"].labels.tolist() == [2, 1]


def test_iwildcam_groups_by_camera(iwildcam):
    assert opened("iwildcam")["train"].groups == ("12", "12", "3")


def test_iwildcam_without_its_names_uses_the_numbers(iwildcam, caplog):
    caplog.set_level("INFO")
    (iwildcam / "categories.csv").unlink()
    assert opened("iwildcam")["train"].classes == ("0", "2", "10")
    assert "called by their numbers" in caplog.text


def test_classes_of_iwildcam_of_one_name_are_told_apart_by_their_numbers(iwildcam, caplog):
    (iwildcam / "categories.csv").write_text("y,name\n0,empty\n2,impala\n10,impala\n")
    data = opened("iwildcam")
    assert data["train"].classes == ("empty", "impala 2", "impala 10")
    assert data["train"].labels.tolist() == [0, 1, 2]
    assert "several classes are called impala" in caplog.text


def test_a_class_of_iwildcam_without_a_name_is_refused(iwildcam):
    (iwildcam / "categories.csv").write_text("y,name\n0,empty\n2,tayassu pecari\n")
    with refuses("categories.csv", "no name for the class 10"):
        opened("iwildcam")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("id_val", "holdout", ["'holdout'", "id_test"]), (",10,10,", ",x,x,", ["'x'", "number of a class"])],
)
def test_a_table_of_iwildcam_that_is_another_is_refused(iwildcam, old, new, words):
    text = (iwildcam / "metadata.csv").read_text()
    (iwildcam / "metadata.csv").write_text(text.replace(old, new))
    with refuses("metadata.csv", *words):
        opened("iwildcam")


def test_without_iwildcam_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path):
    with refuses(str(tmp_path / "data" / "iwildcam_v2.0"), "metadata.csv", "train/*.jpg", "wilds") as caught:
        opened("iwildcam")
    assert isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("name", ["fmow", "iwildcam"])
def test_they_keep_what_data_sets_promise(name, tmp_path, fmow, iwildcam):
    with settings.using(data_dir=tmp_path / "data"):
        findings = conformance.check(entries("datasets")[name])
    assert not [finding for finding in findings if not finding.passed or finding.skipped]
