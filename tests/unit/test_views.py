import dataclasses

import numpy as np
import pytest

from eyechart.embedding.embed import embed, stored_already
from eyechart.images.splits import limited
from eyechart.images.transform import square
from eyechart.images.views import detached, edited, from_files, rows
from samples import mean_color, photos, plain_encoder, refuses, toy


@dataclasses.dataclass(frozen=True)
class Darker:
    """An edit without randomness."""

    by: int = 2

    @property
    def key(self):
        return f"darker by {self.by}"

    def __call__(self, images, hashes):
        return [image // self.by for image in images]


@dataclasses.dataclass(frozen=True)
class Speckled:
    """An edit whose randomness is seeded by the content hashes."""

    key: str = "speckled"

    def __call__(self, images, hashes):
        return [
            image ^ np.random.default_rng(h).integers(0, 256, image.shape, dtype=np.uint8)
            for image, h in zip(images, hashes, strict=True)
        ]


def loaded(images):
    return [images.load(i) for i in range(len(images))]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(params=["arrays", "files"])
def images(request, tmp_path):
    if request.param == "arrays":
        return toy(10, groups=[f"g{i // 3}" for i in range(10)])
    root = photos(tmp_path / "photos", n=5)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    groups = [f"g{i // 3}" for i in range(10)]
    return from_files(root, names, np.repeat([0, 1], 5), classes=["cat", "dog"], groups=groups)


def test_rows_carry_everything_of_their_images(images):
    chosen = rows(images, np.array([7, 2, 4]))
    assert len(chosen) == 3
    assert chosen.ids == tuple(images.ids[i] for i in (7, 2, 4))
    assert chosen.groups == tuple(images.groups[i] for i in (7, 2, 4))
    assert chosen.labels.tolist() == [images.labels[i] for i in (7, 2, 4)]
    assert np.array_equal(chosen.hashes, images.hashes[[7, 2, 4]])
    assert same(loaded(chosen), [images.load(i) for i in (7, 2, 4)])
    assert chosen.classes == images.classes
    assert chosen.base is images


def test_a_mask_chooses_rows_too(images):
    mask = np.arange(10) % 3 == 0
    assert rows(images, mask).ids == rows(images, np.flatnonzero(mask)).ids


def test_rows_of_rows_are_rows_of_the_whole(images):
    chosen = rows(rows(images, np.array([9, 7, 5, 3, 1])), np.array([4, 0, 2]))
    assert chosen.ids == tuple(images.ids[i] for i in (1, 9, 5))
    assert chosen.base is images
    assert chosen.rows.tolist() == [1, 9, 5]
    assert same(loaded(chosen), [images.load(i) for i in (1, 9, 5)])
    assert chosen.key == rows(images, np.array([1, 9, 5])).key


def test_many_rows_at_once_are_the_same_pixels():
    images = toy(8)
    chosen = rows(rows(images, np.array([6, 4, 2, 0])), np.array([3, 1]))
    assert same(chosen.batch(np.array([1, 0])), [images.load(4), images.load(0)])


def test_a_view_of_some_rows_has_another_key(images):
    keys = {view.pixels_key for view in (images, rows(images, np.arange(9)), rows(images, np.arange(1, 10)))}
    assert len(keys) == 3
    reversed_ = rows(images, np.arange(10)[::-1])
    assert reversed_.pixels_key != images.pixels_key
    assert reversed_.key != images.key


def test_all_rows_in_order_are_equal_content_with_an_equal_key(images):
    assert rows(images, np.arange(10)).key == images.key


def test_a_detached_view_is_a_source_of_its_own_with_the_same_key(images):
    chosen = rows(images, np.array([3, 1]))
    alone = detached(chosen)
    assert alone.base is None
    assert alone.rows is None
    assert alone.key == chosen.key
    assert same(loaded(alone), loaded(chosen))
    assert detached(images) is images


def test_embedding_rows_embeds_the_whole_once_and_a_detached_view_only_itself(images, forwards):
    embed(plain_encoder(), rows(images, np.array([3, 1])))
    assert sum(forwards) == 10
    forwards.clear()
    embed(plain_encoder(), rows(images, np.array([8])))
    assert forwards == []
    embed(plain_encoder(), detached(rows(images, np.array([3, 1]))))
    assert sum(forwards) == 2


def test_an_edit_changes_the_pixels_and_nothing_else(images):
    dark = edited(images, Darker())
    assert same(loaded(dark), [pixels // 2 for pixels in loaded(images)])
    assert (dark.ids, dark.classes, dark.groups) == (images.ids, images.classes, images.groups)
    assert dark.labels.tolist() == images.labels.tolist()


def test_an_edited_batch_is_the_same_as_edited_images():
    dark = edited(toy(6), Speckled())
    assert same(dark.batch(np.array([4, 0, 5])), [dark.load(i) for i in (4, 0, 5)])


def test_a_view_never_has_its_parents_key(images):
    views = [images, edited(images, Darker(2)), edited(images, Darker(3)), edited(edited(images, Darker(2)), Darker(3))]
    assert len({view.pixels_key for view in views}) == 4
    assert len({view.key for view in views}) == 4


def test_equal_edits_have_equal_keys(images):
    assert edited(images, Darker(2)).key == edited(images, Darker(2)).key


def test_rows_of_an_edited_view_are_not_taken_for_the_unedited_ones(images):
    chosen = np.array([4, 2])
    plain, dark = rows(images, chosen), rows(edited(images, Darker()), chosen)
    assert dark.pixels_key != plain.pixels_key
    assert dark.key != plain.key
    assert same(loaded(dark), [pixels // 2 for pixels in loaded(plain)])


def test_a_limited_edited_view_is_embedded_for_itself(images):
    plain, dark = limited(images, 4), limited(edited(images, Darker(4)), 4)
    assert plain.ids == dark.ids
    brightness = embed(plain_encoder(), plain).x.mean()
    assert embed(plain_encoder(), dark).x.mean() < brightness / 2


def test_an_edit_of_rows_is_the_rows_of_the_edit(images):
    chosen = np.array([6, 0, 3])
    first, second = rows(edited(images, Speckled()), chosen), edited(rows(images, chosen), Speckled())
    assert same(loaded(first), loaded(second))


def test_an_edit_is_seeded_by_the_image_wherever_it_is_made(images):
    speckled = edited(images, Speckled())
    squares = np.stack([square(plain_encoder().transform, pixels) for pixels in loaded(speckled)])
    assert np.allclose(embed(plain_encoder(), speckled).x, mean_color(squares), atol=1e-6)


def test_edits_follow_each_other(images):
    twice = edited(edited(images, Darker(2)), Darker(5))
    assert same(loaded(twice), [pixels // 2 // 5 for pixels in loaded(images)])
    embedded = embed(plain_encoder(), twice).x
    assert np.allclose(embedded, embed(plain_encoder(), edited(images, Darker(10))).x, atol=1.5 / 255)


def test_a_file_that_changes_after_it_was_hashed_is_refused_and_nothing_is_stored(tmp_path):
    root = photos(tmp_path / "photos", n=2)
    names = ["cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png"]
    images = from_files(root, names, np.array([0, 0, 1, 1]), classes=["cat", "dog"])
    encoder = plain_encoder()
    (root / "dog" / "000.png").write_bytes((root / "cat" / "000.png").read_bytes())
    with refuses("dog/000.png changed while the run was going on", "run again"):
        embed(encoder, images)
    assert not stored_already(encoder, images)


def test_the_mark_of_an_edit_depends_on_the_image_and_on_the_order_of_edits():
    images, some = toy(6), np.array([4, 1])
    assert np.array_equal(edited(images, Darker()).hashes[some], edited(rows(images, some), Darker()).hashes)
    one, other = edited(edited(images, Darker(2)), Darker(3)), edited(edited(images, Darker(3)), Darker(2))
    assert not (one.hashes == other.hashes).all(axis=1).any()
    assert one.pixels_key != other.pixels_key
