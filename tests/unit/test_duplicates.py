import tracemalloc

import numpy as np
import pytest

from eyechart.images import candidates, duplicates
from eyechart.images.candidates import closest
from eyechart.images.duplicates import links
from eyechart.images.thumbnails import SIDE, pictures, thumbnail
from eyechart.images.ties import connected
from photographs import COPIES, brighter, cropped, photograph, reencoded


def squares(images):
    return pictures(np.stack([thumbnail(image) for image in images]))


def found(images):
    small = squares(images)
    return links(lambda rows: small[rows], len(small))


def pairs(images):
    return {(link.first, link.second) for link in found(images)}


def looked_at(images):
    """What is looked at closely, how many pairs the search said it had compared, and how many it had no need to."""
    small, told = squares(images), {True: 0, False: 0}

    def advance(done, *, fresh=True):
        told[fresh] += done

    return closest(lambda rows: small[rows], len(small), advance), told[True], told[False]


def with_one_backdrop(n):
    """Pictures that are alike at first sight: the same broad shades, and detail of their own."""
    rng = np.random.default_rng(3)
    across = np.cos(np.pi * np.arange(48) / 48)
    shades = (128 + 60 * np.outer(across, across) + 40 * (2 * across**2 - 1))[..., None]  # cosines: there is no edge
    detail = np.kron(rng.uniform(-9, 9, (n, 24, 24, 1)), np.ones((1, 2, 2, 3)))
    return list((shades + detail).clip(0, 255).astype(np.uint8))


DISTINCT = [photograph(seed) for seed in range(60)]


def test_distinct_pictures_are_no_duplicates():
    assert found(DISTINCT) == []


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_nothing_else(name):
    changed = [COPIES[name](image) for image in DISTINCT[:12]]
    assert pairs([*DISTINCT, *changed]) == {(seed, 60 + seed) for seed in range(12)}


def test_a_mirror_image_is_called_one_and_a_plain_copy_is_not():
    made = found([DISTINCT[0], COPIES["mirrored"](DISTINCT[0]), DISTINCT[1], COPIES["half the size"](DISTINCT[1])])
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
    whole_only = [how for how in candidates._hows() if how.crop == 0]
    monkeypatch.setattr(candidates, "_hows", lambda: whole_only)
    assert len(pairs(images)) < 20


def test_of_many_copies_all_are_connected_by_one_link_less():
    images = [brighter(DISTINCT[0], 0.7 + 0.05 * number) for number in range(7)] + DISTINCT[1:5]
    made = found(images)
    assert len(made) == 6
    assert connected(len(images), [(link.first, link.second) for link in made]).tolist() == [0] * 7 + [1, 2, 3, 4]


def test_pictures_of_one_color_are_compared_with_nothing():
    flat = [np.full((40, 40, 3), level, np.uint8) for level in (0, 0, 100, 255)]
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 3, axis=2).repeat(64, axis=0)  # a sky
    several = [*flat, ramp, ramp, DISTINCT[0]]
    assert found(several) == []
    assert looked_at(several)[1:] == (1, 48)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_pictures_have_no_duplicates(n):
    small = squares(DISTINCT[:1])[:n]
    assert links(lambda rows: small[rows], n) == []


def test_the_order_and_the_blocks_make_no_difference(monkeypatch):
    images = [*DISTINCT[:20], *(COPIES[name](DISTINCT[i]) for i, name in enumerate(COPIES))]
    order = np.random.default_rng(1).permutation(len(images))
    before = pairs(images)
    for module, name, size in ((candidates, "_ROWS", 7), (duplicates, "_PAIRS", 3)):
        monkeypatch.setattr(module, name, size)
    assert pairs(images) == before
    assert looked_at(images)[1:] == (len(images) ** 2, 0)
    assert {tuple(sorted((int(order[a]), int(order[b])))) for a, b in pairs([images[i] for i in order])} == before


def plainly(images, most):
    """The pairs that are looked at by the definition: all ways of all pairs at once, then the nearest of each."""
    described = candidates._descriptions(squares(images))
    near = np.full((2, len(images), len(images)), -1.0)
    for how in candidates._hows():
        turned = described[how.crop] * (candidates._mirror() if how.mirrored else 1) @ described[how.of].T
        near[int(how.mirrored)] = np.maximum(near[int(how.mirrored)], np.maximum(turned, turned.T))
    for part in near:
        np.fill_diagonal(part, -1)
    kept = set()
    for one in range(len(images)):
        several = sorted((-near[m, one, other], other, m) for m in (0, 1) for other in range(len(images)))[:most]
        kept |= {(min(one, other), max(one, other), bool(m)) for value, other, m in several if -value > 0.82}
    return kept, near


@pytest.mark.parametrize("rows", [9, 100])
def test_of_each_picture_its_nearest_candidates_are_looked_at_the_nearest_first(monkeypatch, rows):
    images = with_one_backdrop(30)
    monkeypatch.setattr(candidates, "CLOSEST", 4)
    monkeypatch.setattr(candidates, "_ROWS", rows)
    several, *_ = looked_at(images)
    named = list(zip(several.target.tolist(), several.source.tolist(), several.mirrored.tolist(), strict=True))
    expected, near = plainly(images, 4)
    assert {(min(a, b), max(a, b), mirrored) for a, b, mirrored in named} == expected
    assert len(named) == len(expected) <= 30 * 4
    values = [near[int(mirrored), a, b] for a, b, mirrored in named]
    assert values == pytest.approx(sorted(values, reverse=True), abs=1e-6)


def test_which_of_two_is_the_target_is_no_matter_of_their_order(monkeypatch):
    monkeypatch.setattr(candidates, "CLOSEST", 4)
    images, order = with_one_backdrop(30), np.random.default_rng(2).permutation(30)
    several, *_ = looked_at(images)
    again, *_ = looked_at([images[i] for i in order])
    assert np.array_equal(order[again.target], several.target)
    assert np.array_equal(order[again.source], several.source)
    assert np.array_equal(again.way, several.way)


def test_pictures_that_are_alike_at_first_sight_hold_no_more_memory_than_a_block(monkeypatch):
    small = squares(with_one_backdrop(500))
    monkeypatch.setattr(candidates, "_ROWS", 50)
    tracemalloc.start()
    several = closest(lambda rows: small[rows], len(small), lambda done, *, fresh=True: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 500 * 32 < len(several.target) <= 500 * candidates.CLOSEST
    assert peak < 500 * 20_000


def test_copies_are_found_among_pictures_that_are_alike_at_first_sight(monkeypatch):
    monkeypatch.setattr(candidates, "CLOSEST", 4)
    images = with_one_backdrop(40)
    changed = [reencoded(image, 80) for image in images[:5]]
    assert pairs([*images, *changed]) == {(number, 40 + number) for number in range(5)}


def test_of_a_burst_larger_than_what_is_looked_at_all_are_connected(monkeypatch):
    monkeypatch.setattr(candidates, "CLOSEST", 3)
    images = [brighter(DISTINCT[0], 0.7 + 0.02 * number) for number in range(15)]
    assert len(found(images)) == 14


@pytest.mark.parametrize("copies_first", [False, True])
def test_a_crop_is_found_on_either_side_of_a_block(monkeypatch, copies_first):
    monkeypatch.setattr(candidates, "_ROWS", 12)
    whole_only = [how for how in candidates._hows() if how.crop == 0]
    monkeypatch.setattr(candidates, "_hows", lambda: whole_only)
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


@pytest.mark.parametrize("limit", ["_DETAIL", "_EVERYWHERE", "_SHARED", "_STRETCH", "FLAT"])
def test_every_limit_is_looked_at(monkeypatch, limit):
    images = [DISTINCT[0], reencoded(cropped(DISTINCT[0], 0.05, 0.05, 0, 0), 80)]
    assert pairs(images) == {(0, 1)}
    monkeypatch.setattr(duplicates, limit, 0.5 if limit == "_STRETCH" else 1.1 if limit != "FLAT" else 300)
    assert pairs(images) == set()
