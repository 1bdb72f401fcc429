import numpy as np
import pytest

from eyechart.embedding.embed import embed
from eyechart.registry import bind
from samples import photos, plain_encoder, refuses


def opened(spec):
    return bind("datasets", spec).call()


@pytest.fixture
def root(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        photos(tmp_path / "set" / split, classes=("ant", "bee", "cat"), n=8, first_seed=100 * number)
    return tmp_path / "set"


def test_only_the_classes_that_are_named_are_left(root):
    data = opened(f'subset("folder:{root}", classes=("CAT", "ant"))')
    assert {images.classes for images in data.values()} == {("ant", "cat")}
    for images in data.values():
        assert len(images) == 16
        told = [name.split("/")[1] for name in images.ids]
        assert told == [images.classes[label] for label in images.labels]


def test_so_many_images_of_each_class_are_drawn_from_each_split(root):
    data = opened(f'subset("folder:{root}", per_class=3)')
    assert all(np.bincount(images.labels).tolist() == [3, 3, 3] for images in data.values())


def test_of_one_seed_fewer_images_are_part_of_more(root):
    drawn = {n: opened(f'subset("folder:{root}", per_class={n})')["train"].ids for n in (2, 5)}
    assert set(drawn[2]) < set(drawn[5])
    assert drawn[2] != opened(f'subset("folder:{root}", per_class=2, seed=1)')["train"].ids
    assert drawn[2] == opened(f'subset("folder:{root}", per_class=2, seed=0)')["train"].ids


def test_a_class_that_has_fewer_gives_all_it_has_and_that_is_said(tmp_path, caplog):
    photos(tmp_path / "set" / "train", classes=("ant",), n=4)
    photos(tmp_path / "set" / "train", classes=("bee",), n=9, first_seed=50)
    photos(tmp_path / "set" / "test", classes=("ant", "bee"), n=9, first_seed=90)
    caplog.set_level("INFO")
    data = opened(f'subset("folder:{tmp_path / "set"}", per_class=6, splits="train")')
    drawn = {name.split("/")[1]: 0 for name in data["train"].ids}
    for name in data["train"].ids:
        drawn[name.split("/")[1]] += 1
    assert drawn["bee"] == 6
    assert drawn["ant"] < 6
    assert "1 of 2 classes in train" in caplog.text
    assert f"ant ({drawn['ant']})" in caplog.text


def test_only_the_splits_that_are_named_are_left(root):
    assert set(opened(f'subset("folder:{root}", splits=("test", "train"))')) == {"train", "test"}


def test_a_split_without_any_of_the_classes_is_left_out_and_named(tmp_path, caplog):
    photos(tmp_path / "set" / "train", classes=("ant", "bee", "cat"), n=6)
    photos(tmp_path / "set" / "test", classes=("ant",), n=6, first_seed=100)
    data = opened(f'subset("folder:{tmp_path / "set"}", classes=("bee", "cat"))')
    assert "test" not in data
    assert "no image in test" in caplog.text


def test_of_an_embedded_set_nothing_is_embedded_again(root, forwards):
    for images in opened(f"folder:{root}").values():
        embed(plain_encoder(), images)
    before = sum(forwards)
    for images in opened(f'subset("folder:{root}", classes=("ant", "bee"), per_class=2)').values():
        assert embed(plain_encoder(), images).ids == images.ids
    assert sum(forwards) == before == 72


def test_alone_embeds_only_what_is_left(root, forwards):
    for images in opened(f'subset("folder:{root}", per_class=2, alone=True)').values():
        embed(plain_encoder(), images)
    assert sum(forwards) == 18


def test_a_subset_can_be_part_of_a_pair(root):
    data = opened(f'pair("subset(\\"folder:{root}\\", classes=(\\"ant\\", \\"bee\\"))", "folder:{root}")')
    assert data["test"].classes == ("ant", "bee")


ERRORS = [
    ("subset()", ["needs a data set"]),
    ('subset("folder:{root}", classes=("ants",))', ["has no class 'ants'", "Did you mean ant?"]),
    ('subset("folder:{root}", classes=("zebra",))', ["has no class 'zebra'. There are ant, bee, cat."]),
    (
        'subset("union(\\"folder:{root}\\", \\"digits\\")", classes=("zz",))',
        ["There are ant, bee, cat, 0, 1, 2, 3, 4, 5, 6, ..."],
    ),
    ('subset("folder:{root}", splits=("gallery",))', ["has no gallery", "its splits are test, train, val"]),
    ('subset("folder:{root}", per_class=0)', ["per_class must be at least 1", "got 0"]),
    ('subset("folder:{root}", seed=-1)', ["seed at least 0", "-1"]),
]


@pytest.mark.parametrize(("spec", "words"), ERRORS)
def test_what_cannot_be_is_refused_in_one_line(root, spec, words):
    with refuses(*words):
        opened(spec.format(root=root))
