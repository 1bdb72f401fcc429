import numpy as np
import pytest

from eyechart.images.alignment import agreement, align, contrast
from eyechart.images.thumbnails import SIDE, pictures, thumbnail
from photographs import cropped, photograph

SAME = np.array([[1.0, 0.0, 1.0, 0.0]])
WINDOWS = [(0.9, 0.05, 0.95, -0.02), (0.85, -0.15, 0.85, 0.15), (1.0, 0.0, 1.0, 0.0), (0.92, 0.0, 1.0, 0.0)]


def square(image):
    return pictures(thumbnail(image)[None])


def pair(seed, window):
    """A picture and what a window shows of it, cut out of the full-size picture and not of the small one."""
    image = photograph(seed, 480, 480)
    ends = [((shift - scale + 1) / 2, 1 - (shift + scale + 1) / 2) for scale, shift in (window[:2], window[2:])]
    (top, bottom), (left, right) = [(max(low, 0), max(high, 0)) for low, high in ends]
    return square(image), square(cropped(image, top, left, bottom, right))


@pytest.mark.parametrize("window", WINDOWS)
def test_a_crop_is_found_where_it_was_cut(window):
    for seed in range(5):
        found = align(*pair(seed, window), SAME.copy())
        assert np.abs(found[0] - window).max() < 0.02  # half a pixel of 48


def test_brightness_and_contrast_move_nothing():
    source, target = pair(3, WINDOWS[0])
    expected = align(source, target, SAME.copy())
    assert np.allclose(align(source, target * 0.5 + 40, SAME.copy()), expected, atol=2e-3)


def test_a_pair_is_aligned_alike_in_any_company():
    pairs = [pair(seed, window) for seed, window in enumerate(WINDOWS)]
    several = align(*(np.concatenate(part) for part in zip(*pairs, strict=True)), np.repeat(SAME, len(pairs), axis=0))
    for row, (source, target) in enumerate(pairs):
        assert np.allclose(align(source, target, SAME.copy())[0], several[row], atol=1e-3)


def test_a_picture_agrees_with_itself_in_full():
    source = square(photograph(1))
    seen = agreement(source, source * 0.8 + 20, SAME)
    assert seen.detail[0] == pytest.approx(1, abs=1e-4)
    assert seen.everywhere[0] > 0.98  # local contrast is evened out in gray levels, so not quite 1
    assert (seen.shared[0], seen.stretch[0]) == (1, 1)
    assert seen.contrast[0] == pytest.approx(0.8 * contrast(source)[0], rel=1e-4)


def test_no_agreement_is_above_1():
    source = np.concatenate([square(photograph(seed)) for seed in range(60)])
    seen = agreement(source, source, np.repeat(SAME, 60, axis=0))
    assert seen.detail.max() <= 1
    assert seen.everywhere.max() <= 1


def test_other_pictures_agree_in_nothing():
    one, other = (np.concatenate([square(photograph(seed + k)) for seed in range(20)]) for k in (0, 100))
    seen = agreement(one, other, np.repeat(SAME, 20, axis=0))
    assert np.abs(seen.detail).max() < 0.5
    assert seen.everywhere.max() < 0.3


def leveled(square):
    """Without the plane that fits best, by least squares."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    terms = np.stack([np.ones(SIDE**2), rows.ravel(), columns.ravel()], axis=1)
    return square - (terms @ np.linalg.lstsq(terms, square.ravel(), rcond=None)[0]).reshape(SIDE, SIDE)


def test_the_detail_is_the_correlation_of_what_is_left_between_two_blurs():
    from scipy.ndimage import gaussian_filter

    parts = [leveled(square(photograph(seed))[0].astype(np.float64)) for seed in (5, 6)] + [np.ones((SIDE, SIDE))]
    fine, coarse = (
        [gaussian_filter(part, share * SIDE, mode="constant", truncate=8) for part in parts]
        for share in (0.0125, 0.0625)
    )
    left = [fine[i] / fine[2] - coarse[i] / coarse[2] for i in (0, 1)]
    expected = (left[0] * left[1]).sum() / np.sqrt((left[0] ** 2).sum() * (left[1] ** 2).sum())
    found = agreement(square(photograph(5)), square(photograph(6)), SAME)
    assert found.detail[0] == pytest.approx(expected, abs=1e-4)
    assert found.contrast[0] == pytest.approx(min(np.sqrt((part**2).mean()) for part in left), rel=1e-4)
    points = min((part**2).sum() ** 2 / (part**4).sum() for part in left)
    assert found.points[0] == pytest.approx(points, rel=1e-4)


def test_half_of_a_picture_is_not_everywhere():
    one, other = square(photograph(7)), square(photograph(8))
    mixed = one.copy()
    mixed[:, :, SIDE // 2 :] = other[:, :, SIDE // 2 :]
    seen = agreement(one, mixed, SAME)
    assert seen.detail[0] > 0.3
    assert seen.everywhere[0] < 0.3


def test_one_spoilt_corner_leaves_a_picture_the_same_elsewhere():
    one, other = square(photograph(7)), square(photograph(8))
    spoilt = one.copy()
    spoilt[:, : SIDE // 4, : SIDE // 4] = other[:, : SIDE // 4, : SIDE // 4]
    assert agreement(one, spoilt, SAME).everywhere[0] > 0.9


def test_a_window_that_reaches_out_shares_less():
    source = square(photograph(2))
    seen = agreement(source, source, np.array([[1.0, 0.5, 1.25, 0.0]]))
    assert seen.shared[0] == pytest.approx(36 / 48 * 38 / 48)
    assert seen.stretch[0] == 1.25
    assert agreement(source, source, np.array([[0.8, 0.0, 1.0, 0.0]])).stretch[0] == 1.25


def test_few_points_carry_a_line_and_many_a_photograph():
    line = np.full((1, SIDE, SIDE), 250, np.float32)
    line[:, 10:38, 24] = 0
    assert agreement(line, line, SAME).points[0] < 100
    photo = square(photograph(3))
    assert agreement(photo, photo, SAME).points[0] > 400


def test_a_slope_is_no_detail():
    ramp = np.add.outer(np.linspace(0, 200, SIDE), np.linspace(50, 0, SIDE)).astype(np.float32)[None]
    assert contrast(ramp)[0] < 0.01


def test_one_color_has_no_detail_and_agrees_with_nothing():
    flat = np.full((1, SIDE, SIDE), 90, np.float32)
    assert contrast(flat)[0] == pytest.approx(0, abs=1e-3)
    seen = agreement(flat, flat, SAME)
    assert all(np.isfinite(part).all() for part in seen)
    assert seen.contrast[0] == pytest.approx(0, abs=1e-3)
    assert np.isfinite(align(flat, flat, SAME.copy())).all()
