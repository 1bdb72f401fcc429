"""Snow, frost, fog and splashes: against plain versions of them, against values by hand, and against the published
program's statistics."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage

from eyechart.images.corruptions import _frost
from eyechart.images.corruptions._random import mixed, normals, uniform
from eyechart.images.corruptions.weather import fog, frost, snow, spatter
from samples import smooth

CIFAR = {  # the constants of the published program, and for frost the size of its pictures
    snow: (
        (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
    ),
    frost: ((1.0, 0.2, 0.2), (1.0, 0.3, 0.2), (0.9, 0.4, 0.2), (0.85, 0.4, 0.2), (0.75, 0.45, 0.2)),
    fog: ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    spatter: (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1.0, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
}
SOME = {  # one case of each, water and mud
    "snow": (snow, CIFAR[snow][2]),
    "frost": (frost, CIFAR[frost][2]),
    "fog": (fog, CIFAR[fog][2]),
    "water": (spatter, CIFAR[spatter][2]),
    "mud": (spatter, CIFAR[spatter][3]),
}
each = pytest.mark.parametrize(("corruption", "constants"), SOME.values(), ids=SOME)


def some_seeds(n, first=0):
    return np.random.default_rng(first).integers(0, 2**64, n, dtype=np.uint64)


def photos(n, height=32, width=32):
    return np.stack([smooth(i, height, width) for i in range(n)])


def filled(value, height=32, width=32, n=1):
    return np.full((n, height, width, 3), value, np.uint8)


def nearly_equal(ours, plain):
    """At most one gray level apart, and hardly ever: sums are cut off, and have last bits of their own."""
    apart = np.abs(ours.astype(int) - plain)
    return apart.max() <= 1 and (apart > 0).mean() < 0.02


def random_layer(seed, shape, mean, spread):
    """The random layer of an image, from its random numbers: four to each 64 bits, the lowest first."""
    words = [int(mixed(seed, 1 + word)) for word in range(math.ceil(shape[0] * shape[1] / 4))]
    picks = [word >> 16 * part & 0xFFFF for word in words for part in range(4)][: shape[0] * shape[1]]
    return mean + spread * normals()[picks].reshape(shape).astype(float)


@each
def test_an_image_gets_the_same_bytes_alone_and_in_any_batch(corruption, constants):
    images, seeds = photos(37), some_seeds(37)
    together = corruption(images, seeds, *constants)
    backward = corruption(images[::-1].copy(), seeds[::-1].copy(), *constants)[::-1]
    alone = np.concatenate([corruption(images[i : i + 1], seeds[i : i + 1], *constants) for i in range(37)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backward)


@each
def test_another_seed_gives_other_bytes(corruption, constants):
    image = photos(1)
    outs = {corruption(image, some_seeds(1, first), *constants).tobytes() for first in range(5)}
    assert len(outs) == 5


@each
def test_the_image_that_is_given_stays_as_it_was(corruption, constants):
    images = photos(2)
    before = images.copy()
    corruption(images, some_seeds(2), *constants)
    np.testing.assert_array_equal(images, before)


@each
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (2, 2), (5, 31), (70, 33), (2, 250)])
def test_images_of_any_shape_can_be_corrupted(corruption, constants, height, width):
    images = photos(3, height, width)
    out = corruption(images, some_seeds(3), *constants)
    assert out.shape == images.shape
    assert out.dtype == np.uint8


@pytest.mark.parametrize("name", ["snow", "fog"])
def test_gray_images_stay_gray(name):
    corruption, constants = SOME[name]
    out = corruption(np.repeat(photos(5)[..., :1], 3, axis=3), some_seeds(5), *constants)
    assert (out == out[..., :1]).all()


# Fog


def plain_plasma(seed, side, decay):
    noise = np.array([2 * uniform(seed, place) - 1 for place in range(side * side)]).reshape(side, side)
    grid, step, rough = np.zeros((side, side)), side, 100.0
    while step > 1:
        half = step // 2
        corners, middles = np.arange(0, side, step), np.arange(half, side, step)
        straight, slanted = ((half, 0), (-half, 0), (0, half), (0, -half)), ((half, half), (half, -half))
        slanted += tuple((-down, -right) for down, right in slanted)
        for rows, columns, neighbors in (
            (middles, middles, slanted),
            (corners, middles, straight),
            (middles, corners, straight),
        ):
            for row in rows:
                for column in columns:
                    around = [grid[(row + down) % side, (column + right) % side] for down, right in neighbors]
                    grid[row, column] = np.mean(around) + rough**2 * noise[row, column]
        step, rough = half, rough / decay
    return (grid - grid.min()) / (grid.max() - grid.min())


@pytest.mark.parametrize(("height", "width", "side"), [(32, 32, 32), (5, 9, 16), (17, 4, 32)])
@pytest.mark.parametrize(("strength", "decay"), [CIFAR[fog][0], CIFAR[fog][4]])
def test_fog_equals_a_plain_version_of_it(height, width, side, strength, decay):
    images, seeds = photos(3, height, width), some_seeds(3)
    for image, seed, out in zip(images, seeds, fog(images, seeds, strength, decay), strict=True):
        plasma = plain_plasma(seed, side, decay)[:height, :width, None]
        brightest = image.max() / 255
        plain = (image / 255 + strength * plasma) * brightest / (brightest + strength) * 255
        assert nearly_equal(out, np.floor(plain))


def test_the_fog_of_four_pixels_can_be_worked_out_by_hand():
    seed = some_seeds(1)
    _, right, below, middle = (10_000 * (2 * uniform(seed[0], place) - 1) for place in range(4))
    heights = np.array([[0, right + middle / 2], [below + middle / 2, middle]])
    shares = (heights - heights.min()) / (heights.max() - heights.min())
    out = fog(filled(100, 2, 2), seed, 0.5, 2.0)[0, ..., 0]
    assert nearly_equal(out, np.floor((100 + 127.5 * shares) * 100 / 227.5))


def test_fog_leaves_black_images_black_and_lets_white_ones_keep_white():
    assert fog(filled(0), some_seeds(1), 0.5, 3.0).max() == 0
    white = fog(filled(255), some_seeds(1), 0.5, 3.0)
    assert white.max() == 255
    assert white.min() == 170  # 1 / 1.5 of white


# Snow


def enlarged(layer, factor):
    """The middle of a layer, enlarged along one axis."""
    length = len(layer)
    cut = math.ceil(length / factor)
    top = (length - cut) // 2
    large = ndimage.zoom(layer[top : top + cut], (factor, 1), order=1)
    start = (len(large) - length) // 2
    return large[start : start + length]


def streaked(flakes, radius, sigma, angle):
    weights = np.array([math.exp(-(k**2) / (2 * sigma**2)) for k in range(2 * math.ceil(radius) + 1)])
    out, (height, width) = np.zeros(flakes.shape), flakes.shape
    for k, weight in enumerate(weights / weights.sum()):
        down, right = (math.ceil(k * turn(math.radians(angle)) - 0.5) for turn in (math.sin, math.cos))
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        out += weight * flakes[rows][:, np.clip(np.arange(width) + right, 0, width - 1)]
    return np.floor(out + 1e-6)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (7, 12)])
@pytest.mark.parametrize("severity", [1, 4, 5])
def test_snow_equals_a_plain_version_of_it(height, width, severity):
    mean, spread, factor, threshold, radius, sigma, share = CIFAR[snow][severity - 1]
    images, seeds = photos(4, height, width), some_seeds(4)
    for image, seed, out in zip(images, seeds, snow(images, seeds, *CIFAR[snow][severity - 1]), strict=True):
        layer = enlarged(enlarged(random_layer(seed, (height, width), mean, spread), factor).T, factor).T
        flakes = np.floor(np.where(layer < threshold, 0, np.clip(layer, 0, 1)) * 255)
        flakes = streaked(flakes, radius, sigma, -135 + 90 * uniform(seed, 0))
        gray = image @ [0.299, 0.587, 0.114]
        white = share * image + (1 - share) * np.maximum(image, 1.5 * gray[..., None] + 127.5)
        assert nearly_equal(out, np.floor(np.minimum(white + (flakes + flakes[::-1, ::-1])[..., None] + 1e-3, 255)))


def test_snow_without_flakes_only_whitens():
    out = snow(filled(100), some_seeds(1), 0.1, 0.2, 1.0, 9.0, 8.0, 3.0, 0.9)
    assert (out == math.floor(0.9 * 100 + 0.1 * (150 + 127.5))).all()


def test_flakes_fall_twice_the_second_time_upside_down():
    out = snow(filled(0, 20, 31), some_seeds(1), *CIFAR[snow][4])
    np.testing.assert_array_equal(out, out[:, ::-1, ::-1])
    assert out.max() > out.min()


# Frost


def test_frost_is_a_random_part_of_one_of_its_pictures():
    images, seeds = photos(40, 20, 30), some_seeds(40)
    pictures = _frost.pictures(0.2, 20, 30)
    for seed, out in zip(seeds, frost(images, seeds, 0.0, 1.0, 0.2), strict=True):
        whole = pictures[int(5 * uniform(seed, 0))]
        top = int((whole.shape[0] - 20) * uniform(seed, 1))
        left = int((whole.shape[1] - 30) * uniform(seed, 2))
        np.testing.assert_array_equal(out, whole[top : top + 20, left : left + 30])


def test_frost_adds_a_share_to_what_is_kept():
    images, seeds = photos(8), some_seeds(8)
    ice = frost(images, seeds, 0.0, 1.0, 0.2)
    mixed_up = np.floor(np.minimum(0.75 * images + 0.45 * ice + 1e-6, 255))
    np.testing.assert_array_equal(frost(images, seeds, 0.75, 0.45, 0.2), mixed_up)


def test_one_picture_of_frost_has_twice_the_chances_of_the_others():
    pictures = _frost.pictures(1.0, 224, 224)
    assert pictures[1] is pictures[2]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_pictures_of_frost_are_larger_than_any_image_and_go_on_in_a_mirror():
    small, large = _frost.pictures(0.2, 32, 32), _frost.pictures(0.2, 130, 400)
    for whole, mirrored in zip(small, large, strict=True):
        (height, width), (more, wider) = whole.shape[:2], mirrored.shape[:2]
        assert more > 130
        assert wider > 400
        np.testing.assert_array_equal(mirrored[:height, :width], whole)
        np.testing.assert_array_equal(mirrored[:height, width : 2 * width], whole[:, ::-1])


def test_reduced_pictures_of_frost_are_every_fifth_row_and_column():
    for whole, small in zip(_frost.pictures(1.0, 1, 1), _frost.pictures(0.2, 1, 1), strict=True):
        np.testing.assert_array_equal(whole[2::5, 2::5], small)


# Spatter


def plain_spatter(image, layer, constants):
    _, _, sigma, threshold, strength, mud = constants
    layer = ndimage.gaussian_filter(layer, sigma, mode="nearest", truncate=4)
    if mud:
        covered = ndimage.gaussian_filter((layer > threshold).astype(float), strength, mode="nearest", truncate=4)
        covered = np.where(covered < 0.8, 0, covered)[..., None]
        return image * (1 - covered) + np.array([63, 42, 20]) * covered
    water = (np.where(layer < threshold, 0, layer) * 255).astype(int).astype(np.uint8)
    rims = cv2.Canny(water, 50, 150)
    inside = cv2.distanceTransform(255 - rims, cv2.DIST_L2, 5)
    inside = cv2.equalizeHist(cv2.blur(np.minimum(inside, 20), (3, 3)).astype(np.uint8)).astype(float)
    light = ndimage.correlate(inside, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], mode="mirror").clip(0, 255)
    light = np.rint(ndimage.uniform_filter(light, 3, mode="mirror"))
    return image + strength * (water * light / (water * light).max())[..., None] * [175, 238, 238]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (9, 23)])
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_spatter_equals_a_plain_version_of_it(height, width, severity):
    constants = CIFAR[spatter][severity - 1]
    images, seeds = photos(6, height, width), some_seeds(6)
    for image, seed, out in zip(images, seeds, spatter(images, seeds, *constants), strict=True):
        plain = plain_spatter(image, random_layer(seed, (height, width), *constants[:2]), constants)
        assert nearly_equal(out, np.floor(np.minimum(plain + 1e-3, 255)))


@pytest.mark.parametrize("mud", [0, 1])
def test_where_nothing_is_splashed_the_image_stays_as_it_was(mud):
    images = photos(2)
    np.testing.assert_array_equal(spatter(images, some_seeds(2), 0.65, 0.1, 0.7, 9.0, 0.5, mud), images)


def test_an_image_full_of_mud_is_brown():
    out = spatter(photos(2), some_seeds(2), 0.65, 0.1, 0.7, -9.0, 0.6, 1)
    assert (out == [63, 42, 20]).all()


def test_water_is_pale_turquoise_and_at_its_brightest_as_strong_as_asked():
    out = spatter(filled(0, n=5), some_seeds(5), 0.65, 0.1, 0.8, 0.7, 0.5, 0)
    assert (out.max(axis=(1, 2)) == [87, 119, 119]).all()  # half of 175 and 238


def test_water_makes_nothing_darker():
    images = photos(5)
    assert (spatter(images, some_seeds(5), *CIFAR[spatter][1]) >= images).all()


# All


@pytest.mark.parametrize("corruption", [snow, fog])
def test_images_get_farther_from_the_clean_ones_with_severity(corruption):
    images, seeds = photos(100), some_seeds(100)
    away = [np.square(corruption(images, seeds, *c) - images.astype(float)).mean() for c in CIFAR[corruption]]
    assert away == sorted(away)


def test_less_of_the_image_is_left_with_severity_of_frost():
    # Of dark images, which frost cannot push past white. Farther away they do not get: frost brightens them, and at
    # severity 4 and 5 less is kept of what it brightens.
    images, seeds = photos(100) // 3, some_seeds(100)
    alike = []
    for constants in CIFAR[frost]:
        pairs = zip(images, frost(images, seeds, *constants), strict=True)
        alike.append(np.mean([np.corrcoef(clean.ravel(), out.ravel())[0, 1] for clean, out in pairs]))
    assert alike == sorted(alike, reverse=True)


def test_splashes_get_stronger_with_severity_of_water_and_of_mud():
    images, seeds = photos(100), some_seeds(100)
    away = [np.square(spatter(images, seeds, *c) - images.astype(float)).mean() for c in CIFAR[spatter]]
    assert away[:3] == sorted(away[:3])
    assert away[3] < away[4]


# The published program

# What it makes of 200 images, five times each: `smooth(i, 32, 32)` for i below 200. The functions are those of
# make_cifar_c.py, github.com/hendrycks/robustness at 8190fe32, run as
#   for s in range(1, 6): np.random.seed(s); [np.uint8(snow(Image.fromarray(x), s)) for x in images for _ in range(5)]
# with scikit-image 0.26, OpenCV 5.0, scipy 1.17 and ImageMagick 6.9; only names that these libraries have dropped
# were replaced. In each line: corruption, severity, and for each of `figures` its mean and the mean's standard error.
PUBLISHED = """
    snow 1 10.8 0.0417 10.8 0.0306 10.9 0.0461 8.31 0.0583 10.8 0.0301 515 11.7 250 6.17 104 2.09 41.1 0.63
    snow 2 24.2 0.0843 24.1 0.0584 24.4 0.0895 13.5 0.0558 24.2 0.0543 1690 33.4 662 10.8 222 3.02 84.1 0.858
    snow 3 26 0.111 25.8 0.095 26.2 0.116 17.5 0.113 26 0.0884 4010 108 1820 37 563 9.57 91.7 1.14
    snow 4 38.1 0.172 37.9 0.145 38.6 0.182 21 0.128 38.2 0.137 7460 185 2880 60.3 665 11 73.3 1.08
    snow 5 53.6 0.287 53 0.253 54.4 0.282 24.4 0.185 53.7 0.234 12000 440 2760 68.5 523 15.4 82.4 1.78
    frost 1 26.9 0.303 31.2 0.212 33.4 0.204 8 0.0411 30.5 0.229 753 17.7 214 3.71 39.7 0.724 13.9 0.323
    frost 2 40.1 0.436 45.9 0.301 48.9 0.29 12.9 0.0665 45 0.325 2300 57.8 606 10.5 88.9 1.56 29.5 0.685
    frost 3 41.6 0.603 50 0.414 54.1 0.393 17.4 0.0765 48.6 0.441 4810 104 906 15 138 3.01 54 1.36
    frost 4 37.1 0.628 45.2 0.431 49.5 0.416 17.7 0.0722 44.4 0.449 5210 94.4 886 13.8 140 3.32 56.9 1.41
    frost 5 32 0.724 41.6 0.519 46.5 0.492 21.7 0.0835 42.2 0.469 8720 138 1270 18.3 179 4.47 75.7 1.86
    fog 1 -0.876 0.163 -0.716 0.16 -0.828 0.16 12.2 0.0355 10.6 0.0392 7450 99.6 369 4.58 12.8 0.174 1.52 0.0217
    fog 2 -0.658 0.321 -0.34 0.317 -0.561 0.325 24.5 0.0703 21.2 0.081 30000 398 1470 18.2 50.9 0.688 6.01 0.0859
    fog 3 -1.04 0.412 -0.631 0.409 -0.915 0.432 31.8 0.0938 27.5 0.105 51600 692 2530 30.8 85.8 1.15 9.98 0.143
    fog 4 -1.64 0.469 -1.16 0.463 -1.49 0.498 37.7 0.114 32.5 0.12 74300 1020 3800 46.9 127 1.61 14.1 0.195
    fog 5 -1.06 0.55 -0.49 0.529 -0.888 0.539 46 0.138 39.3 0.139 112000 1490 6110 74.2 211 2.54 22.2 0.287
    spatter 1 0.849 0.0092 1.12 0.0122 1.12 0.0121 7.63 0.0469 1.03 0.0108 106 2.44 108 1.91 93.2 1.41 47.4 0.543
    spatter 2 2.25 0.0155 2.98 0.0206 2.98 0.021 12.4 0.0459 2.74 0.0182 353 6.52 371 4.28 302 2.83 106 0.729
    spatter 3 5.55 0.0325 7.38 0.0451 7.36 0.0443 17.4 0.0551 6.76 0.0389 1870 43.5 1640 23.5 741 5.33 133 0.866
    spatter 4 -2.3 0.0401 -2.94 0.0432 -3.77 0.0517 18.5 0.123 3.21 0.0376 1410 44.2 1090 24.6 600 9.9 152 1.91
    spatter 5 -3.87 0.0529 -5.03 0.0558 -6.4 0.0652 24 0.115 5.44 0.0453 2030 46.8 1520 24.4 934 11.5 271 2.58
"""
LINES = [line.split() for line in PUBLISHED.strip().splitlines()]


def figures(clean, corrupted):
    """Of each image: mean change of red, green and blue, its standard deviation, the mean absolute change, and the
    power of the change in four bands of waves."""
    change = corrupted.astype(float) - clean
    waves = np.abs(np.fft.fft2(change.mean(3))) ** 2 / 1024
    lengths = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    bands = np.digitize(lengths, [1 / 64, 1 / 16, 1 / 8, 1 / 4])
    powers = [waves[:, bands == band].mean(1) for band in (1, 2, 3, 4)]
    return np.column_stack([change.mean((1, 2)), change.std((1, 2, 3)), np.abs(change).mean((1, 2, 3)), *powers])


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]}-{line[1]}")
def test_change_as_much_as_the_published_program_does(line):
    corruption, severity = globals()[line[0]], int(line[1])
    means, errors = np.array(line[2::2], float), np.array(line[3::2], float)
    clean = np.repeat(photos(200), 2, axis=0)
    ours = figures(clean, corruption(clean, some_seeds(400, severity), *CIFAR[corruption][severity - 1]))
    apart = np.abs(ours.mean(0) - means)
    # Of 180 comparisons one may well be three standard errors apart by chance, but not four.
    allowed = np.maximum(0.03 * np.abs(means), 4 * np.hypot(errors, ours.std(0) / 400**0.5))
    assert (apart <= allowed).all(), apart / allowed


# Its pictures of frost: frost1.png, frost2.png (frost3.png is the same), frost4.jpg and frost5.jpg of the same commit,
# read by cv2.imread(file)[..., ::-1]. First mean and standard deviation of red, green and blue and their correlations;
# then `squares` of 224 pixels, and of 32 in every fifth row and column; then `powers` of both, in natural logarithms.
FROST_COLORS = [
    [77.7, 149.1, 165.7, 26.9, 16.5, 15.3, 0.82, 0.57, 0.93],
    [200.8, 205.4, 214.5, 21.4, 22.1, 22.6, 1.00, 0.99, 1.00],
    [137.6, 152.8, 165.2, 28.5, 28.5, 29.9, 1.00, 0.99, 0.99],
    [112.4, 123.4, 134.8, 44.4, 43.3, 41.7, 1.00, 1.00, 1.00],
]
FROST_SQUARES = [
    [129.6, 9.5, 15.5, 2.6, 129.8, 10.8, 14.1, 2.6],
    [203.9, 6.0, 20.0, 2.0, 204.5, 8.9, 18.1, 2.8],
    [159.0, 6.5, 26.5, 2.0, 157.6, 10.1, 26.2, 2.2],
    [112.4, 11.5, 35.3, 5.7, 114.2, 15.7, 34.2, 6.5],
]
FROST_POWERS = [
    [6.98, 5.97, 5.4, 4.27, 6.29, 5.05, 4.56],
    [8.74, 7.57, 6.26, 4.68, 6.79, 6.11, 5.66],
    [9.03, 8.1, 7.29, 5.84, 7.21, 6.69, 6.57],
    [9.71, 8.45, 7.14, 5.93, 8.26, 7.26, 6.64],
]


def squares(gray, side):
    """Of all squares: mean and spread of their means, and mean and spread of their standard deviations."""
    means = ndimage.uniform_filter(gray, side)
    deviations = np.sqrt(ndimage.uniform_filter(gray**2, side) - means**2)
    inside = tuple(slice(side // 2, side // 2 + length - side) for length in gray.shape)
    return [means[inside].mean(), means[inside].std(), deviations[inside].mean(), deviations[inside].std()]


def powers(gray, edges):
    """The mean power of waves in bands of waves per pixel, seen through a Hann window."""
    height, width = gray.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    waves = np.abs(np.fft.fft2((gray - gray.mean()) * window)) ** 2 / np.square(window).sum()
    bands = np.digitize(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)), edges)
    return [np.log(waves[bands == band].mean()) for band in range(1, len(edges))]


@pytest.fixture(scope="module")
def frosts():
    """The four pictures, in floating point."""
    first, second, _, third, fourth = _frost.pictures(1.0, 1, 1)
    return [whole.astype(float) for whole in (first, second, third, fourth)]


@pytest.mark.parametrize("number", range(4))
def test_a_picture_of_frost_has_the_colors_of_the_published_one(frosts, number):
    whole, wanted = frosts[number], np.array(FROST_COLORS[number])
    correlations = np.corrcoef(whole.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose([*whole.mean((0, 1)), *whole.std((0, 1))], wanted[:6], atol=0.6)
    np.testing.assert_allclose(correlations, wanted[6:], atol=0.06)


@pytest.mark.parametrize("number", range(4))
def test_squares_of_a_picture_of_frost_are_as_bright_and_as_rich_in_contrast_as_published_ones(frosts, number):
    gray, wanted = frosts[number].mean(2), np.array(FROST_SQUARES[number]).reshape(2, 4)
    ours = np.array([squares(gray, 224), squares(gray[2::5, 2::5], 32)])
    assert (np.abs(ours - wanted) <= [2, 2, 2, 1.3]).all(), ours - wanted


@pytest.mark.parametrize("number", range(4))
def test_a_picture_of_frost_has_the_power_spectrum_of_the_published_one(frosts, number):
    gray = frosts[number].mean(2)
    ours = powers(gray, [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2])
    ours += powers(gray[2::5, 2::5], [1 / 16, 1 / 8, 1 / 4, 1 / 2])
    np.testing.assert_allclose(ours, FROST_POWERS[number], atol=0.27)
