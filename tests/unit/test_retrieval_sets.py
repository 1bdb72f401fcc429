import pytest
from PIL import Image

import eyechart.datasets.ukbench as ukbench_module
from eyechart import conformance, settings
from eyechart.datasets.holidays import holidays
from eyechart.datasets.ukbench import ukbench
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.registry import entries
from samples import picture, plain_encoder, refuses, write_images


def write_ukbench(root, numbers):
    return write_images(root / "ukbench", [f"full/ukbench{number:05d}.jpg" for number in numbers])


@pytest.fixture
def data_folder(tmp_path):
    return tmp_path / "data"


def test_four_photographs_of_ukbench_show_one_object(data_folder):
    write_ukbench(data_folder, range(12))
    (images,) = ukbench().values()
    assert images.groups == ("0000",) * 4 + ("0001",) * 4 + ("0002",) * 4
    assert images.classes == ("0000", "0001", "0002")
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_missing_photograph_moves_no_other_to_another_object(data_folder, caplog):
    """By their positions in the list, all after the gap would be of wrong objects."""
    write_ukbench(data_folder, [number for number in range(16) if number != 5])
    images = ukbench()["test"]
    assert images.groups == tuple(f"{int(name[7:12]) // 4:04d}" for name in images.ids)
    assert "1 of 4 objects have fewer than 4 images, such as 0001" in caplog.text


def test_complete_objects_are_not_warned_of(data_folder, caplog, monkeypatch):
    monkeypatch.setitem(ukbench_module.IMAGES, "test", 8)
    write_ukbench(data_folder, range(8))
    ukbench()
    assert not caplog.records


def test_other_files_are_left_out_and_counted(data_folder, caplog):
    caplog.set_level("INFO")
    root = write_ukbench(data_folder, range(4))
    (root / "full" / "Thumbs.db").touch()
    (root / "full" / ".hidden").touch()
    assert len(ukbench()["test"]) == 4
    assert "1 files are no images of the set" in caplog.text


NUMBERS = [100000, 100001, 100002, 100100, 100101, 149900, 149901, 149902, 149913]


@pytest.fixture
def scenes(data_folder):
    return write_images(data_folder / "holidays", [f"{number}.jpg" for number in NUMBERS])


def test_the_first_photograph_of_a_scene_is_the_official_query(scenes):
    data = holidays()
    assert data["query"].ids == ("100000.jpg", "100100.jpg", "149900.jpg")
    assert data["gallery"].ids == tuple(f"{number}.jpg" for number in NUMBERS)


def test_photographs_of_one_scene_share_all_but_the_last_two_digits(scenes):
    data = holidays()
    assert data["gallery"].groups == ("1000",) * 3 + ("1001",) * 2 + ("1499",) * 4
    assert data["query"].groups == ("1000", "1001", "1499")
    assert data["query"].labels.tolist() == [0, 1, 2]


def test_queries_are_rows_of_the_gallery(scenes, forwards):
    for images in holidays().values():
        embed(plain_encoder(), images)
    assert sum(forwards) == len(NUMBERS)


def test_all_photographs_can_ask(scenes):
    data = holidays(queries="all")
    assert list(data) == ["test"]
    assert len(data["test"]) == len(NUMBERS)


def test_a_scene_without_its_query_asks_nothing(scenes):
    (scenes / "100100.jpg").unlink()
    data = holidays()
    assert data["query"].groups == ("1000", "1499")
    assert "100101.jpg" in data["gallery"].ids


def test_without_any_official_query_that_is_said(scenes):
    for number in (100000, 100100, 149900):
        (scenes / f"{number}.jpg").unlink()
    with refuses("no official query", 'queries="all"'):
        holidays()


def test_the_folder_of_the_official_archives_is_found(data_folder, scenes):
    flat = holidays()["gallery"].key
    scenes.rename(data_folder / "jpg")
    scenes.mkdir()
    (data_folder / "jpg").rename(scenes / "jpg")
    assert holidays()["gallery"].key == flat


def test_photographs_are_read_upright(data_folder):
    root = write_images(data_folder / "holidays", ["100000.jpg"])
    lying = Image.fromarray(picture(7, 16, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(root / "100001.jpg", exif=exif)
    assert holidays()["gallery"].load(1).shape == (24, 16, 3)


@pytest.mark.parametrize(
    ("load", "said"),
    [(ukbench, "UKBench; of its images it has 8 of 10,200 (test)"), (holidays, "it has 9 of 1,491 (gallery)")],
)
def test_that_they_are_not_all_there_is_said(load, said, data_folder, scenes, caplog):
    write_ukbench(data_folder, range(8))
    load()
    assert said in caplog.text


@pytest.mark.parametrize(("load", "words"), [(ukbench, ["full/ukbench00000.jpg"]), (holidays, ["jpg1.tar.gz"])])
def test_without_them_the_place_the_layout_and_the_way_to_get_them_are_said(data_folder, load, words):
    with refuses(str(data_folder / load.__name__), *words) as caught:
        load()
    assert isinstance(caught.value, Unavailable)


def test_two_files_of_one_number_are_refused(data_folder):
    root = write_ukbench(data_folder, range(4))
    (root / "full" / "UKBENCH00002.JPEG").write_bytes((root / "full" / "ukbench00002.jpg").read_bytes())
    with refuses("2 images of the number 2"):
        ukbench()


def test_a_folder_without_images_of_the_set_is_refused(data_folder):
    write_images(data_folder / "ukbench", ["full/photo.jpg"])
    with refuses("holds no image of the set", "ukbench00000.jpg"):
        ukbench()


@pytest.mark.parametrize("name", ["ukbench", "holidays"])
def test_they_keep_what_data_sets_promise(name, data_folder, scenes):
    write_ukbench(data_folder, range(12))
    with settings.using(data_dir=data_folder):
        findings = conformance.check(entries("datasets")[name])
    assert not [finding for finding in findings if not finding.passed or finding.skipped]
