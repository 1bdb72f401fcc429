import numpy as np
import pytest

from eyechart.datasets._sampling import divided, few, sampled
from eyechart.images.views import from_arrays
from samples import refuses

# How many images each class of the pool has, and train:val:test of the published table for 10, 100 and 1000.
TABLE = {
    "isic2020": ([575] * 2, (14, 4, 1132), (148, 50, 952), (688, 230, 232)),
    "patternnet": ([800] * 38, (266, 76, 30058), (2812, 950, 26638), (18202, 6080, 6118)),
    "ucmerced": ([47, *[61] * 13, *[60] * 7], (147, 42, 1071), (567, 189, 504), (567, 189, 504)),
    "fgvc_aircraft": ([33] * 66 + [34] * 34, (700, 200, 2434), (1900, 600, 834), (1900, 600, 834)),
    "dtd": ([40] * 47, (329, 94, 1457), (1081, 376, 423), (1081, 376, 423)),
    "flowers102": ([10] * 102, (510, 204, 306), (510, 204, 306), (510, 204, 306)),
}
POOLS = {"isic2020": 1150, "patternnet": 30400, "ucmerced": 1260, "fgvc_aircraft": 3334, "dtd": 1880}
POOLS["flowers102"] = 1020


def pool(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = np.zeros((len(labels), 1, 2, 3), np.uint8)
    pixels.reshape(len(labels), -1)[:, :4] = np.arange(len(labels), dtype="<u4")[:, None].view(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))  # of a real list, classes are not in blocks
    names = [f"image-{number}" for number in range(len(labels))]
    return from_arrays(pixels, labels[order], classes=[f"class-{c}" for c in range(len(counts))], ids=names)


@pytest.mark.parametrize("name", TABLE)
def test_every_size_of_the_published_table_comes_out(name):
    counts, *wanted = TABLE[name]
    images = pool(counts)
    assert len(images) == POOLS[name]
    for per_class, expected in zip((10, 100, 1000), wanted, strict=True):
        data = sampled(images, per_class, seed=0, what=name)
        assert tuple(len(data[split]) for split in ("train", "val", "test")) == expected
        assert sorted(id for part in data.values() for id in part.ids) == sorted(images.ids)


def test_every_class_has_equally_many_images_in_train_and_in_val():
    data = sampled(pool([33, 34, 40]), 100, seed=0, what="toy")
    assert np.bincount(data["train"].labels).tolist() == [19, 19, 19]
    assert np.bincount(data["val"].labels).tolist() == [6, 6, 6]
    assert np.bincount(data["test"].labels).tolist() == [8, 9, 15]


def test_a_sample_keeps_the_order_and_shares_the_embedding_of_the_pool():
    images = pool([20, 20])
    for part in sampled(images, 10, seed=3, what="toy").values():
        assert part.base is images
        assert (np.diff(part.rows) > 0).all()


def test_another_seed_draws_others_and_the_same_seed_the_same():
    images = pool([20, 20])
    one, again, other = (sampled(images, 10, seed=seed, what="toy")["train"].ids for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_smaller_train_is_part_of_a_larger_one():
    images = pool([200, 300])
    small, large = (set(sampled(images, n, seed=1, what="toy")["train"].ids) for n in (10, 100))
    assert small < large


def test_each_image_is_drawn_equally_often():
    images = pool([10, 10])
    often = np.zeros(20)
    for seed in range(400):
        often[sampled(images, 10, seed=seed, what="toy")["train"].rows] += 1
    assert abs(often / 400 - 5 / 10).max() < 0.1  # 4 standard errors


def test_a_sample_of_three_is_refused_as_no_val_would_be_left():
    with refuses("toy: sample must be at least 4", "got sample=3"):
        sampled(pool([20, 20]), 3, seed=0, what="toy")


def test_a_class_with_four_images_is_named():
    with refuses("each class needs at least 5 images", "class-1 has 4"):
        sampled(pool([20, 4]), 10, seed=0, what="toy")


def test_a_class_of_the_set_that_the_pool_lacks_counts_for_nothing():
    data = sampled(pool([20, 0, 20]), 10, seed=0, what="toy")
    assert np.bincount(data["train"].labels).tolist() == [7, 0, 7]


def test_few_takes_all_of_a_class_that_has_fewer():
    images = pool([3, 20])
    part = few(images, 7, seed=0, what="toy")
    assert np.bincount(part.labels).tolist() == [3, 7]
    assert (np.diff(part.rows) > 0).all()


def test_a_negative_seed_is_refused():
    with refuses("toy: seed must be between 0 and 4294967295; got -1"):
        sampled(pool([20, 20]), 10, seed=-1, what="toy")


def test_a_set_without_splits_is_divided_in_sixty_twenty_and_twenty_percent_of_each_class():
    data = divided(pool([50, 30]), seed=0, what="toy")
    assert {split: np.bincount(part.labels).tolist() for split, part in data.items()} == {
        "train": [30, 18],
        "val": [10, 6],
        "test": [10, 6],
    }
