import dataclasses

import numpy as np
import pytest

from eyechart.images.splits import draw, limited
from eyechart.images.views import from_arrays
from samples import toy

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def labeled(labels, *, hashes=None, groups=None):
    """Images of given labels; equal hashes are exact duplicates."""
    labels = np.asarray(labels)
    contents = np.arange(len(labels)) if hashes is None else np.asarray(hashes)
    pixels = np.zeros((len(labels), 1, 1, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = contents % 256, contents // 256
    ids = [f"i{i}" for i in range(len(labels))]
    images = from_arrays(pixels, labels, classes=[f"c{c}" for c in range(labels.max() + 1)], ids=ids)
    return images if groups is None else dataclasses.replace(images, groups=tuple(groups))


def sides(drawn, n):
    """The split of each row."""
    side = np.full(n, "", dtype=object)
    for name, chosen in drawn.items():
        assert (side[chosen] == "").all(), "a row is in two splits"
        side[chosen] = name
    assert (side != "").all(), "a row is in no split"
    return side


def test_every_image_is_in_one_split_and_rows_are_in_order():
    drawn = draw(labeled([0, 1] * 20), SHARES, seed=0)
    sides(drawn, 40)
    assert list(drawn) == ["train", "val", "test"]
    assert all((np.diff(chosen) > 0).all() for chosen in drawn.values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_class_is_divided_in_the_same_proportions(seed):
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    side = sides(draw(labeled(labels), SHARES, seed=seed), 160)
    counts = {name: [int((side[labels == c] == name).sum()) for c in range(3)] for name in SHARES}
    assert counts == {"train": [60, 30, 6], "val": [20, 10, 2], "test": [20, 10, 2]}


@pytest.mark.parametrize("n", range(5, 40))
def test_no_split_is_more_than_one_image_from_its_share(n):
    side = sides(draw(labeled([0] * n), SHARES, seed=3), n)
    for name, share in SHARES.items():
        assert abs((side == name).sum() - share * n) <= 1


def test_exact_duplicates_are_on_one_side():
    contents = np.arange(90) // 3  # each picture three times
    labels = (contents % 2).tolist()
    side = sides(draw(labeled(labels, hashes=contents), SHARES, seed=0), 90)
    assert all(len(set(side[contents == c])) == 1 for c in range(30))
    assert {name: int((side == name).sum()) for name in SHARES} == {"train": 54, "val": 18, "test": 18}


def test_duplicates_stay_together_even_with_different_labels():
    side = sides(draw(labeled([0, 1] * 15, hashes=np.arange(30) // 2), SHARES, seed=0), 30)
    assert (side[::2] == side[1::2]).all()


def test_a_group_is_on_one_side():
    groups = [f"camera {i % 10}" for i in range(100)]
    side = sides(draw(labeled([0, 1] * 50, groups=groups), SHARES, seed=0), 100)
    assert all(len({side[i] for i in range(100) if groups[i] == g}) == 1 for g in set(groups))
    assert {name: int((side == name).sum()) for name in SHARES} == {"train": 60, "val": 20, "test": 20}


def test_groups_tied_by_a_duplicate_are_on_one_side():
    groups = [f"g{i // 5}" for i in range(50)]
    contents = np.arange(50)
    contents[45] = contents[0]  # the last group holds a copy of the first group's first picture
    for seed in range(5):
        side = sides(draw(labeled([0, 1] * 25, hashes=contents, groups=groups), SHARES, seed=seed), 50)
        assert len(set(side[:5]) | set(side[45:])) == 1


def test_images_without_a_group_are_not_tied_together():
    groups = [""] * 40 + ["scene"] * 10
    side = sides(draw(labeled([0, 1] * 25, groups=groups), SHARES, seed=0), 50)
    assert len(set(side[:40])) == 3
    assert len(set(side[40:])) == 1


def test_the_seed_changes_the_draw_and_nothing_else_does():
    images = labeled([0, 1] * 30)
    first, again, other = (draw(images, SHARES, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in SHARES)
    assert any(not np.array_equal(first[name], other[name]) for name in SHARES)


def test_a_draw_does_not_look_at_ids_or_names_of_classes():
    images = labeled([0, 1] * 30)
    renamed = dataclasses.replace(images, classes=("x", "y"), ids=tuple(f"other{i}" for i in range(60)))
    first, second = draw(images, SHARES, seed=0), draw(renamed, SHARES, seed=0)
    assert all(np.array_equal(first[name], second[name]) for name in SHARES)


def test_a_draw_does_not_touch_numpys_own_random_numbers():
    np.random.seed(5)  # noqa: NPY002, the global generator is what is tested
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    draw(labeled([0, 1] * 30), SHARES, seed=0)
    assert np.random.random() == expected  # noqa: NPY002


def test_a_class_with_fewer_images_than_splits_goes_to_the_first_splits():
    labels = [0] * 30 + [1] + [2, 2]
    side = sides(draw(labeled(labels), SHARES, seed=0), 33)
    assert side[30] == "train"
    assert sorted(side[31:]) == ["train", "val"]


def test_a_single_image_is_in_train():
    drawn = draw(labeled([0]), SHARES, seed=0)
    assert {name: len(chosen) for name, chosen in drawn.items()} == {"train": 1, "val": 0, "test": 0}


def test_limited_takes_evenly_from_the_classes_the_first_of_each():
    labels = [0] * 50 + [1] * 3 + [2] * 20
    images = labeled(labels)
    few = limited(images, 12)
    assert np.bincount(few.labels).tolist() == [5, 3, 4]
    assert few.ids == tuple(f"i{i}" for i in [0, 1, 2, 3, 4, 50, 51, 52, 53, 54, 55, 56])


def test_limited_is_a_source_of_its_own():
    images = toy(20)
    few = limited(images, 5)
    assert (few.base, few.rows) == (None, None)
    assert few.key != images.key
    assert np.array_equal(few.load(0), images.load(0))
    assert limited(images, 20) is images
    assert limited(images, 99) is images
