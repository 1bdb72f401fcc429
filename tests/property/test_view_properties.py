"""Rows of images and rows of embeddings compose, and draws are fair, whatever the sizes."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eyechart.images.splits import draw, limited
from eyechart.images.views import from_arrays, rows
from eyechart.types import Embeddings
from samples import toy

WHOLE = toy(24, classes=("a", "b", "c"), size=2, groups=[f"g{i % 5}" for i in range(24)])
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


@st.composite
def nested_rows(draw):
    """Positions among 24, then positions among those."""
    first = draw(st.lists(st.integers(0, 23), unique=True, min_size=1, max_size=24))
    second = draw(st.lists(st.integers(0, len(first) - 1), unique=True, max_size=len(first)))
    return np.array(first), np.array(second, dtype=np.int64)


def embeddings():
    rng = np.random.default_rng(0)
    return Embeddings(
        x=rng.standard_normal((24, 3)).astype(np.float32),
        y=WHOLE.labels,
        classes=WHOLE.classes,
        ids=WHOLE.ids,
        groups=WHOLE.groups,
    )


@given(nested_rows())
def test_rows_of_rows_are_the_composed_rows(chosen):
    first, second = chosen
    nested, direct = rows(rows(WHOLE, first), second), rows(WHOLE, first[second])
    assert nested.key == direct.key
    assert nested.base is WHOLE
    assert np.array_equal(nested.rows, direct.rows)
    assert all(np.array_equal(nested.load(i), WHOLE.load(int(row))) for i, row in enumerate(first[second]))


@given(nested_rows())
def test_taking_from_what_was_taken_is_taking_the_composed_rows(chosen):
    first, second = chosen
    z = embeddings()
    nested, direct = z.take(first).take(second), z.take(first[second])
    assert np.array_equal(nested.x, direct.x)
    assert np.array_equal(nested.y, direct.y)
    assert (nested.ids, nested.groups) == (direct.ids, direct.groups)
    assert nested.ids == tuple(WHOLE.ids[i] for i in first[second])


@given(st.lists(st.booleans(), min_size=24, max_size=24))
def test_a_mask_takes_what_its_positions_take(mask):
    mask = np.array(mask)
    assert embeddings().take(mask).ids == embeddings().take(np.flatnonzero(mask)).ids
    assert rows(WHOLE, mask).key == rows(WHOLE, np.flatnonzero(mask)).key


@given(st.integers(1, 30))
def test_blocks_are_the_rows_in_order(size):
    blocks = list(embeddings().blocks(size))
    assert all(len(block) == size for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks), embeddings().x)


labels_of = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


def labeled(labels):
    pixels = np.arange(3 * len(labels), dtype=np.uint8).reshape(-1, 1, 1, 3)
    names = [f"i{i}" for i in range(len(labels))]
    return from_arrays(pixels, labels, classes=["a", "b", "c", "d"], ids=names)


@given(labels_of, st.integers(0, 100))
def test_a_draw_puts_every_image_on_one_side_and_every_class_in_its_shares(labels, seed):
    images = labeled(labels)
    drawn = draw(images, SHARES, seed=seed)
    assert sorted(np.concatenate(list(drawn.values()))) == list(range(len(images)))
    for name, share in SHARES.items():
        for label in np.unique(images.labels):
            expected = share * (images.labels == label).sum()
            assert abs((images.labels[drawn[name]] == label).sum() - expected) <= 1


@given(labels_of, st.integers(0, 100), st.integers(1, 6))
def test_a_draw_cuts_no_group(labels, seed, number):
    images = labeled(labels)
    grouped = dataclasses.replace(images, groups=tuple(f"g{(i * 7) % number}" for i in range(len(images))))
    drawn = draw(grouped, SHARES, seed=seed)
    groups = [{grouped.groups[row] for row in chosen} for chosen in drawn.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))


@given(labels_of, st.integers(1, 70))
def test_limited_takes_as_many_as_it_may_and_as_evenly_as_it_can(labels, n):
    images = labeled(labels)
    few = limited(images, n)
    assert len(few) == min(n, len(images))
    there, taken = (np.bincount(part.labels, minlength=4) for part in (images, few))
    exhausted = taken == there
    if not exhausted.all():
        assert taken[~exhausted].max() - taken[~exhausted].min() <= 1
        assert taken[exhausted].max(initial=0) <= taken[~exhausted].max()
    for label in range(4):  # of each class the first ones
        members = [name for name, y in zip(images.ids, images.labels, strict=True) if y == label]
        assert [n for n, y in zip(few.ids, few.labels, strict=True) if y == label] == members[: taken[label]]
