import numpy as np
import pytest

from archives import write_jpegs
from eyechart.datasets._lists import whole
from eyechart.datasets._official import check_drawing, from_files, warn_if_partial, with_val
from samples import refuses, toy

FILES = {
    "train": [(f"b{n}.jpg", "dog" if n % 2 else "cat") for n in reversed(range(20))],
    "test": [("a1.jpg", "cat"), ("a0.jpg", "dog")],
}
TWICE = ["dog", "cat", "cat"]


@pytest.fixture
def root(tmp_path):
    return write_jpegs(tmp_path / "pets", [path for members in FILES.values() for path, _ in members])


def test_a_copy_that_has_all_is_used_without_a_word(root, caplog):
    warn_if_partial(root, "Pets", FILES, {"train": 20, "test": 2})
    assert not caplog.messages


def test_of_a_copy_that_has_not_all_each_part_that_differs_is_counted(root, caplog):
    warn_if_partial(root, "Pets", FILES, {"train": 3000, "val": 5, "test": 2})
    assert caplog.messages == [f"{root} is not all of Pets; of its images it has 20 of 3,000 (train), 0 of 5 (val)"]


def test_a_val_is_drawn_from_train_and_all_keep_the_order_in_which_they_are_listed(root):
    data = from_files(root, FILES, ["dog", "cat"])
    assert list(data) == ["train", "val", "test"]
    listed = [path for path, _ in FILES["train"]]
    for split in ("train", "val"):
        assert [listed.index(name) for name in data[split].ids] == sorted(listed.index(n) for n in data[split].ids)
    assert sorted([*data["train"].ids, *data["val"].ids]) == sorted(listed)
    assert np.bincount(data["val"].labels).tolist() == [1, 1]
    assert data["test"].ids == ("a1.jpg", "a0.jpg")
    assert data["test"].labels.tolist() == [1, 0]
    assert data["test"].classes == ("dog", "cat")


def test_a_val_that_is_there_is_kept(root):
    files = {"train": FILES["train"][2:], "val": FILES["train"][:2], "test": FILES["test"]}
    data = from_files(root, files, ["dog", "cat"])
    assert data["val"].ids == ("b19.jpg", "b18.jpg")
    assert len(data["train"]) == 18


def test_groups_stay_on_one_side(root):
    groups = {"train": [f"g{n // 5}" for n in range(20)], "test": ["", ""]}
    data = from_files(root, FILES, ["dog", "cat"], groups=groups, val=0.3)
    assert not set(data["train"].groups) & set(data["val"].groups)
    assert data["test"].groups == ("", "")


def test_images_can_have_ids_that_are_no_paths(root):
    ids = {split: [f"{split}-{n}" for n in range(len(members))] for split, members in FILES.items()}
    data = from_files(root, FILES, ["dog", "cat"], ids=ids)
    assert data["test"].ids == ("test-0", "test-1")
    assert data["test"].pixels_key == from_files(root, FILES, ["dog", "cat"])["test"].pixels_key


def test_an_id_that_is_given_twice_is_refused(root):
    with refuses("2 images have the id a1.jpg"):
        from_files(root, FILES | {"train": [*FILES["train"], ("a1.jpg", "cat")]}, ["dog", "cat"])


def test_a_file_that_is_missing_is_named(root):
    (root / "b3.jpg").unlink()
    with refuses(str(root / "b3.jpg"), "No such file"):
        from_files(root, FILES, ["dog", "cat"])


def test_a_val_that_would_be_empty_is_refused():
    with refuses("a val of 0.1 of the 6 training images leaves none in val", "larger share"):
        with_val({"train": toy(6)}, val=0.1)


def test_a_val_that_would_be_all_of_train_is_refused():
    with refuses("a val of 0.999 of the 6 training images leaves none in train", "smaller share"):
        with_val({"train": toy(6)}, val=0.999)


@pytest.mark.parametrize(
    "read",
    [lambda root: from_files(root, FILES, TWICE), lambda root: whole(root, FILES["test"], TWICE, "get it again")],
)
def test_two_classes_of_one_name_are_refused(root, read):
    with refuses(str(root), "2 classes are called 'cat'"):
        read(root)


@pytest.mark.parametrize(("val", "seed", "said"), [(0.0, 0, "val must be"), (1.0, 0, "val"), (0.5, 2**32, "seed must")])
def test_what_cannot_be_drawn_is_refused(val, seed, said):
    with refuses("pets: ", said):
        check_drawing("pets", val, seed)
