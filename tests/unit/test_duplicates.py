import numpy as np
import pytest

from eyechart.images import duplicates
from eyechart.images.duplicates import links
from eyechart.images.thumbnails import SIDE, pictures, thumbnail
from eyechart.images.ties import connected
from photographs import COPIES, brighter, cropped, photograph, reencoded


def squares(images):
    return pictures(np.stack([thumbnail(image) for image in images]))


def found(images):
    """The links among images, how many pairs the search said it had compared, and how many it had no need to."""
    small, told = squares(images), {True: 0, False: 0}

    def advance(done, *, fresh=True):
        told[fresh] += done

    return links(lambda rows: small[rows], len(small), advance), told[True], told[False]


def pairs(images):
    return {(link.first, link.second) for link in found(images)[0]}


DISTINCT = [photograph(seed) for seed in range(60)]


def test_distinct_pictures_are_no_duplicates():
    assert found(DISTINCT) == ([], 60 * 60, 0)


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_nothing_else(name):
    changed = [COPIES[name](image) for image in DISTINCT[:12]]
    assert pairs([*DISTINCT, *changed]) == {(seed, 60 + seed) for seed in range(12)}


def test_a_mirror_image_is_called_one_and_a_plain_copy_is_not():
    made, *_ = found([DISTINCT[0], COPIES["mirrored"](DISTINCT[0]), DISTINCT[1], COPIES["half the size"](DISTINCT[1])])
    assert {(link.first, link.second): link.mirrored for link in made} == {(0, 1): True, (2, 3): False}
    assert all(0.9 < link.agreement <= 1 for link in made)


def test_two_crops_of_one_picture_are_found_without_the_picture():
    crops = [(0.06, 0, 0, 0.06), (0, 0.06, 0.06, 0)]
    images = [reencoded(cropped(DISTINCT[seed], *crop), 80) for crop in crops for seed in range(10)]
    assert pairs(images) == {(seed, 10 + seed) for seed in range(10)}


def test_two_crops_that_share_no_edge_are_compared_by_their_middles(monkeypatch):
    crops = [(0.09, 0, 0, 0.09), (0, 0.09, 0.09, 0)]
    images = [reencoded(cropped(DISTINCT[seed], *crop), 80) for crop in crops for seed in range(20)]
    assert pairs(images) == {(seed, 20 + seed) for seed in range(20)}
    whole_only = duplicates._ways()[: len(duplicates._boxes())]
    monkeypatch.setattr(duplicates, "_ways", lambda: whole_only)
    assert len(pairs(images)) < 20


def test_of_many_copies_all_are_connected_by_one_link_less():
    images = [brighter(DISTINCT[0], 0.7 + 0.05 * number) for number in range(7)] + DISTINCT[1:5]
    made, *_ = found(images)
    assert len(made) == 6
    assert connected(len(images), [(link.first, link.second) for link in made]).tolist() == [0] * 7 + [1, 2, 3, 4]


def test_pictures_of_one_color_are_compared_with_nothing():
    flat = [np.full((40, 40, 3), level, np.uint8) for level in (0, 0, 100, 255)]
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 3, axis=2).repeat(64, axis=0)  # a sky
    assert found([*flat, ramp, ramp, DISTINCT[0]]) == ([], 1, 48)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_pictures_have_no_duplicates(n):
    small = squares(DISTINCT[:1])[:n]
    assert links(lambda rows: small[rows], n, lambda done, *, fresh=True: None) == []


def test_the_order_and_the_blocks_make_no_difference(monkeypatch):
    images = [*DISTINCT[:20], *(COPIES[name](DISTINCT[i]) for i, name in enumerate(COPIES))]
    order = np.random.default_rng(1).permutation(len(images))
    before = pairs(images)
    for name, size in (("_ROWS", 7), ("_PAIRS", 3)):
        monkeypatch.setattr(duplicates, name, size)
    assert pairs(images) == before
    assert sum(found(images)[1:]) == len(images) ** 2
    assert {tuple(sorted((int(order[a]), int(order[b])))) for a, b in pairs([images[i] for i in order])} == before


@pytest.mark.parametrize("copies_first", [False, True])
def test_a_crop_is_found_on_either_side_of_a_block(monkeypatch, copies_first):
    monkeypatch.setattr(duplicates, "_ROWS", 12)
    whole_only = duplicates._ways()[: len(duplicates._boxes())]
    monkeypatch.setattr(duplicates, "_ways", lambda: whole_only)
    crops = [COPIES["15 % cut off a corner"](image) for image in DISTINCT[:12]]
    images = [*crops, *DISTINCT[:12]] if copies_first else [*DISTINCT[:12], *crops]
    assert pairs(images) == {(seed, 12 + seed) for seed in range(12)}


def test_a_small_mark_on_a_copy_is_still_a_copy_and_half_another_picture_is_none():
    marked, half = DISTINCT[0].copy(), DISTINCT[1].copy()
    marked[-4:, :40] = 255
    half[:, half.shape[1] // 2 :] = DISTINCT[2][:, half.shape[1] // 2 :]
    assert pairs([*DISTINCT[:3], marked, half]) == {(0, 3)}


def test_too_much_cut_away_is_another_picture():
    assert pairs([DISTINCT[0], cropped(DISTINCT[0], 0.25, 0.25, 0.1, 0.1)]) == set()


def test_line_drawings_of_one_kind_are_told_apart():
    """Few pixels carry them, so a body with a waist could pass for one without."""
    import cv2

    drawings = []
    for waist in (0, 5):
        sheet = np.full((144, 144, 3), 255, np.uint8)
        cv2.line(sheet, (72, 10), (72, 90), (0, 0, 0), 3)
        cv2.ellipse(sheet, (72, 108), (24 - waist, 26), 0, 0, 360, (0, 0, 0), 2)
        cv2.circle(sheet, (72, 100 + waist), 5, (0, 0, 0), 2)
        drawings.append(sheet)
    small = squares(drawings)
    assert small.shape == (2, SIDE, SIDE)
    assert pairs(drawings) == set()
    assert pairs([drawings[0], reencoded(drawings[0], 80)]) == {(0, 1)}


@pytest.mark.parametrize("limit", ["_DETAIL", "_EVERYWHERE", "_SHARED", "_STRETCH", "_FLAT"])
def test_every_limit_is_looked_at(monkeypatch, limit):
    images = [DISTINCT[0], reencoded(cropped(DISTINCT[0], 0.05, 0.05, 0, 0), 80)]
    assert pairs(images) == {(0, 1)}
    monkeypatch.setattr(duplicates, limit, 0.5 if limit == "_STRETCH" else 1.1 if limit != "_FLAT" else 300)
    assert pairs(images) == set()
