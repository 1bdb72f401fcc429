import numpy as np
import pytest

from eyechart.embedding.embed import embed
from eyechart.registry import bind
from samples import photos, plain_encoder, refuses, write_images


def opened(spec):
    return bind("datasets", spec).call()


def split_folder(root, classes, *, splits=("train", "test"), first_seed=0, n=5):
    for number, split in enumerate(splits):
        photos(root / split, classes=classes, n=n, first_seed=first_seed + 100 * number)
    return root


@pytest.fixture
def sets(tmp_path):
    return (
        split_folder(tmp_path / "one", ("ant", "hot dog")),
        split_folder(tmp_path / "other", ("Hot_Dog", "owl"), first_seed=1000),
    )


@pytest.fixture
def both(sets):
    return opened(f'union("folder:{sets[0]}", "folder:{sets[1]}", names=("one", "other"))')


def test_each_split_holds_the_images_of_that_split_of_all_sets(sets, both):
    for split in ("train", "val", "test"):
        expected = {h.tobytes() for root in sets for h in opened(f"folder:{root}")[split].hashes}
        assert {h.tobytes() for h in both[split].hashes} == expected


def test_classes_of_one_name_are_one_class(both):
    assert {images.classes for images in both.values()} == {("ant", "hot dog", "owl")}
    for images in both.values():
        for name, label in zip(images.ids, images.labels, strict=True):
            assert name.split("/")[2].replace("Hot_Dog", "hot dog") == images.classes[label]


def test_classes_are_in_the_order_of_the_sets(tmp_path):
    one = split_folder(tmp_path / "one", ("owl", "zebra"))
    other = split_folder(tmp_path / "other", ("ant", "zebra"), first_seed=1000)
    data = opened(f'union("folder:{one}", "folder:{other}")')
    assert data["train"].classes == ("owl", "zebra", "ant")
    told = [data["test"].classes[label] for label in data["test"].labels]
    assert told == [name.split("/")[2] for name in data["test"].ids]


def test_ids_begin_with_the_set_and_groups_are_the_sets(both):
    for images in both.values():
        assert {name.partition("/")[0] for name in images.ids} == {"one", "other"}
        assert list(images.groups) == [name.partition("/")[0] for name in images.ids]
    names = [name for images in both.values() for name in images.ids]
    assert len(set(names)) == len(names)


def test_without_names_sets_are_called_after_what_opens_them(sets):
    data = opened(f'union("folder:{sets[0]}", "digits", "folder:{sets[1]}")')
    assert set(data["train"].groups) == {"folder1", "digits", "folder2"}


def test_renaming_a_folder_changes_no_key(sets, both, tmp_path):
    moved = sets[0].rename(tmp_path / "elsewhere")
    again = opened(f'union("folder:{moved}", "folder:{sets[1]}", names=("one", "other"))')
    assert {split: images.key for split, images in again.items()} == {
        split: images.key for split, images in both.items()
    }


def test_own_groups_are_kept_on_request(tmp_path):
    names = [
        f"{domain}/{c}/{i}.png"
        for domain in ("art", "photo", "sketch", "toy", "clip")
        for c in ("ant", "bee")
        for i in range(4)
    ]
    root = write_images(tmp_path / "one", names)
    other = photos(tmp_path / "other", classes=("ant", "bee"), n=6, first_seed=500)
    spec = f'union("folder:{root}(groups=\\"top\\")", "folder:{other}", names=("a", "b"), groups="own")'
    groups = {group for images in opened(spec).values() for group in images.groups}
    assert groups == {"a/art", "a/photo", "a/sketch", "a/toy", "a/clip", ""}


def test_sets_without_groups_have_none_of_their_own(sets):
    data = opened(f'union("folder:{sets[0]}", "folder:{sets[1]}", groups="own")')
    assert all(images.groups is None for images in data.values())


def test_pixels_are_those_of_the_parts(sets, both):
    source = {h.tobytes(): (images, row) for root in sets for images in opened(f"folder:{root}").values()
              for row, h in enumerate(images.hashes)}  # fmt: skip
    for images in both.values():
        for row, content in enumerate(images.hashes):
            part, place = source[content.tobytes()]
            assert (images.load(row) == part.load(place)).all()


def test_equally_sized_sets_come_in_batches():
    data = opened('union("digits", "digits(seed=1)")')["val"]
    wanted = np.array([5, 0, len(data) - 1, 5])
    assert (data.batch(wanted) == np.stack([data.load(int(row)) for row in wanted])).all()


def test_sets_of_different_sizes_do_not():
    assert opened('union("digits", "digits(size=16)")')["val"].batch is None


def test_dealing_the_images_out_anew_embeds_nothing(tmp_path, forwards):
    one, other = photos(tmp_path / "one", n=8), photos(tmp_path / "other", n=8, first_seed=100)
    for seed in (0, 1):
        for images in opened(f'union("folder:{one}(seed={seed})", "folder:{other}")').values():
            assert embed(plain_encoder(), images).ids == images.ids
    assert sum(forwards) == 32


def test_a_split_that_only_one_set_has_is_there(tmp_path):
    one = split_folder(tmp_path / "one", ("ant", "bee"), splits=("train", "test", "gallery"))
    other = split_folder(tmp_path / "other", ("ant", "bee"), first_seed=900)
    data = opened(f'union("folder:{one}", "folder:{other}")')
    assert set(data["gallery"].groups) == {"folder1"}
    assert len(data["gallery"]) == 10


def test_classes_that_train_has_not_are_named(tmp_path, caplog):
    one = split_folder(tmp_path / "one", ("ant", "bee"))
    photos(tmp_path / "other" / "train", classes=("ant", "bee"), n=5, first_seed=700)
    photos(tmp_path / "other" / "test", classes=("ant", "owl"), n=5, first_seed=800)
    opened(f'union("folder:{one}", "folder:{tmp_path / "other"}")')
    assert "union: test has classes that train has not" in caplog.text
    assert "owl" in caplog.text


ERRORS = [
    ('union("digits")', ["two data sets or more"]),
    ('union("digits", "digits", names=("a",))', ["2 different texts"]),
    ('union("digits", "digits", names=("a", "a"))', ["2 different texts"]),
    ('union("digits", "folder:{one}(folds=2)")', ["cut into folds"]),
]


@pytest.mark.parametrize(("spec", "words"), ERRORS)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, spec, words):
    with refuses(*words):
        opened(spec.format(one=photos(tmp_path / "one", n=6)))
