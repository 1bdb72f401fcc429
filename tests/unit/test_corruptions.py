"""Corruptions: bytes depend on image, key and severity alone, and each kind has an oracle of its own."""

import colorsys
import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from eyechart.images.corruptions import Corruption, corrupt, corrupted
from eyechart.images.corruptions._random import mixed, normals, seeds, uniform
from eyechart.images.corruptions.blur import glass_blur, motion_blur, moved
from eyechart.images.corruptions.digital import elastic_transform
from eyechart.images.corruptions.photographic import crop, overexposure, rotation
from eyechart.images.corruptions.profiles import COMMON, CONSTANTS, EXTRA, GROUPS, MODULES, PHOTOGRAPHIC
from eyechart.images.fingerprints import hash_arrays
from eyechart.images.views import from_arrays
from samples import picture, refuses, smooth, toy

EACH = [(profile, name) for profile, names in CONSTANTS.items() for name in names]
RANDOM = {
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "motion_blur"),
    *("snow", "frost", "fog", "spatter", "elastic_transform"),
}
GOES_BACK = {"saturate", "glass_blur", "elastic_transform", "spatter", "frost", "snow", "fog", "zoom_blur"}


def pictures(n=6, height=32, width=32):
    """Smooth shapes with some detail, as photographs have it."""
    return np.stack([smooth(seed, height, width) // 4 * 3 + picture(seed, height, width) // 4 for seed in range(n)])


IMAGES = pictures()
KEYS = hash_arrays(IMAGES)


def done(name, severity=3, profile="cifar-c", images=IMAGES, keys=KEYS):
    return corrupt(images, name, severity, profile=profile, keys=keys)


def test_the_common_ones_are_fifteen_in_four_groups_and_four_are_extra():
    assert len(COMMON) == 15
    assert list(GROUPS) == ["noise", "blur", "weather", "digital"]
    assert len(EXTRA) == 4
    for profile in ("cifar-c", "imagenet-c"):
        assert set(CONSTANTS[profile]) == {*COMMON, *EXTRA}
    assert set(CONSTANTS["photo"]) == set(PHOTOGRAPHIC)
    assert {name for names in MODULES.values() for name in names} == {*COMMON, *EXTRA, *PHOTOGRAPHIC}


@pytest.mark.parametrize(("profile", "name"), EACH)
def test_bytes_do_not_depend_on_the_batch_or_its_order(profile, name):
    whole = done(name, profile=profile)
    assert whole.dtype == np.uint8
    assert whole.shape == IMAGES.shape
    order = np.array([4, 0, 5, 2])
    assert np.array_equal(done(name, profile=profile, images=IMAGES[order], keys=KEYS[order]), whole[order])
    many = np.concatenate([IMAGES] * 4)
    assert np.array_equal(done(name, profile=profile, images=many, keys=np.concatenate([KEYS] * 4))[6:12], whole)


@pytest.mark.parametrize(("profile", "name"), EACH)
def test_what_is_random_depends_on_the_key_and_nothing_else_does(profile, name):
    other = done(name, profile=profile, keys=KEYS ^ 1)
    assert np.array_equal(other, done(name, profile=profile)) == (name not in RANDOM)


@pytest.mark.parametrize(("profile", "name"), EACH)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 20), (40, 33)])
def test_images_of_any_shape_are_corrupted(profile, name, shape):
    images = pictures(2, *shape)
    for severity in (1, 5):
        out = done(name, severity, profile, images, hash_arrays(images))
        assert (out.shape, out.dtype) == (images.shape, np.uint8)


@pytest.mark.parametrize(("profile", "name"), EACH)
def test_more_severe_is_farther_from_the_image(profile, name):
    images = pictures(24)
    far = [np.abs(done(name, s, profile, images, hash_arrays(images)) - images.astype(int)).mean() for s in range(1, 6)]
    assert min(far) > 0
    if name not in GOES_BACK:  # by the constants that are published
        assert sorted(far) == far


@pytest.mark.parametrize("name", [n for n in (*COMMON, *EXTRA) if n not in {"saturate", "spatter", "frost"}])
def test_gray_images_without_noise_of_color_stay_gray(name):
    gray = np.repeat(pictures()[..., :1], 3, axis=3)
    out = done(name, images=gray, keys=hash_arrays(gray)).astype(int)
    spread = (out.max(axis=3) - out.min(axis=3)).max()
    if name.endswith("noise"):
        assert spread > 0  # each channel has its own
    else:
        assert spread <= 1


def test_profiles_severities_and_corruptions_have_keys_of_their_own():
    made = {Corruption(n, s, p).key for p, n in EACH for s in range(1, 6)}
    assert len(made) == 5 * len(EACH)


@pytest.mark.parametrize(
    ("name", "severity", "profile", "words"),
    [
        ("fogg", 1, "cifar-c", ("'fogg'", "fog")),
        ("fog", 6, "cifar-c", ("severity must be 1, 2, 3, 4 or 5; got 6",)),
        ("fog", 0, "cifar-c", ("got 0",)),
        ("fog", 1, "cifar", ("profile must be one of cifar-c, imagenet-c, photo; got 'cifar'",)),
        ("crop", 1, "cifar-c", ("the profile cifar-c has no corruption 'crop'",)),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(name, severity, profile, words):
    with refuses(*words):
        corrupt(IMAGES, name, severity, profile=profile, keys=KEYS)


# -- views -----------------------------------------------------------------------------------------------------------


def held(images):
    return from_arrays(images, np.zeros(len(images), int), classes=["a"], ids=[str(row) for row in range(len(images))])


def test_a_view_of_images_is_corrupted_by_their_content():
    view = corrupted(held(IMAGES), "gaussian_noise", 2)
    assert np.array_equal(view.batch(np.arange(6)), done("gaussian_noise", 2))
    assert np.array_equal(view.load(3), done("gaussian_noise", 2)[3])


def test_for_imagenet_c_images_are_resized_and_cut_first():
    images = pictures(2, 300, 400)
    view = corrupted(held(images), "contrast", 1, profile="imagenet-c")
    small = [np.asarray(Image.fromarray(image).resize((341, 256), Image.Resampling.BILINEAR)) for image in images]
    cut = np.stack([image[16:240, 58:282] for image in small])
    assert np.array_equal(view.batch(np.arange(2)), done("contrast", 1, "imagenet-c", cut, hash_arrays(images)))


def test_images_of_several_sizes_are_corrupted_together():
    edit = Corruption("gaussian_blur", 3, "cifar-c")
    some = [pictures(1, 20, 30)[0], IMAGES[0], pictures(1, 20, 30)[0]]
    out = edit(some, np.concatenate([KEYS[:2], KEYS[:1]]))
    assert [image.shape for image in out] == [image.shape for image in some]
    assert np.array_equal(out[1], done("gaussian_blur")[0])


# -- random numbers --------------------------------------------------------------------------------------------------


def test_random_bits_are_those_of_splitmix64():
    # Of the generator's reference program with state 1234567, as Rosetta Code lists its first numbers.
    first = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [int(mixed(np.uint64(1234567), place)) for place in range(5)] == first


def test_uniform_numbers_and_normal_ones_have_their_laws():
    drawn = np.array([uniform(np.uint64(7), place) for place in range(20_000)])
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert normals().std() == pytest.approx(1, abs=1e-3)
    assert normals().mean() == pytest.approx(0, abs=1e-6)


def test_seeds_differ_by_image_and_purpose():
    assert len({*seeds(KEYS, "a").tolist(), *seeds(KEYS, "b").tolist()}) == 12


# -- each kind against an oracle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise", "impulse_noise"])
def test_noise_has_the_law_of_numpys(name):
    rng, images = np.random.default_rng(0), np.full((400, 16, 16, 3), 100, np.uint8)
    keys = np.random.default_rng(1).integers(0, 256, (400, 32)).astype(np.uint8)
    ours = corrupt(images, name, 5, profile="cifar-c", keys=keys)
    gray, shape = 100 / 255, images.shape
    theirs = {
        "gaussian_noise": lambda: gray + rng.normal(0, 0.1, shape),
        "speckle_noise": lambda: gray + gray * rng.normal(0, 0.2, shape),
        "shot_noise": lambda: rng.poisson(gray * 50, shape) / 50,
        "impulse_noise": lambda: rng.choice([gray, 0, 1], shape, p=[0.93, 0.035, 0.035]),
    }[name]()
    theirs = (np.clip(theirs, 0, 1) * 255 + 1e-6).astype(np.uint8)
    both = [np.bincount(values.ravel(), minlength=256) / values.size for values in (ours, theirs)]
    assert np.abs(np.cumsum(both[0]) - np.cumsum(both[1])).max() < 0.005
    assert ours.std() == pytest.approx(theirs.std(), rel=0.01)
    assert abs(np.corrcoef(ours[..., 0].ravel(), ours[..., 1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(ours[:, :, 1:].ravel(), ours[:, :, :-1].ravel())[0, 1]) < 0.01


def close(ours, theirs):
    """Within one gray level, cut off as ours is."""
    return np.abs(ours.astype(int) - np.clip(theirs, 0, 255).astype(np.uint8)).max() <= 1


@pytest.mark.parametrize("shape", [(32, 32), (20, 45)])
@pytest.mark.parametrize(("profile", "severity", "sigma"), [("cifar-c", 5, 1.0), ("imagenet-c", 5, 6.0)])
def test_gaussian_blur_is_scipys(shape, profile, severity, sigma):
    images = pictures(3, *shape)
    expected = ndimage.gaussian_filter(images.astype(float), (0, sigma, sigma, 0), mode="nearest")
    assert close(done("gaussian_blur", severity, profile, images, KEYS[:3]), expected)


@pytest.mark.parametrize(("profile", "severity"), [("cifar-c", 5), ("imagenet-c", 1), ("imagenet-c", 5)])
def test_defocus_blur_is_opencvs_correlation_with_a_smooth_disk(profile, severity):
    radius, alias = CONSTANTS[profile]["defocus_blur"][severity - 1]
    far, size = (8, 3) if radius <= 8 else (radius, 5)
    y, x = np.mgrid[-far : far + 1, -far : far + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disk / disk.sum(), (size, size), alias)
    expected = np.stack([cv2.filter2D(image.astype(float), -1, kernel) for image in IMAGES])
    assert close(done("defocus_blur", severity, profile), expected)


def test_zoom_blur_is_the_mean_of_scipys_zooms():
    total = IMAGES[0].astype(float)
    factors = np.arange(1, 1.26, 0.01)
    for factor in factors:
        cut = math.ceil(32 / factor)
        top = (32 - cut) // 2
        part = IMAGES[0, top : top + cut, top : top + cut].astype(float)
        zoomed = ndimage.zoom(part, (factor, factor, 1), order=1)
        start = (len(zoomed) - 32) // 2
        total += zoomed[start : start + 32, start : start + 32]
    assert close(done("zoom_blur", 5)[0], total / (len(factors) + 1))


@pytest.mark.parametrize("angle", [-45, -30, 0, 20, 45])
def test_motion_blur_sums_the_pixels_along_a_line(angle):
    weights = np.array([math.exp(-(i**2) / (2 * 2.0**2)) for i in range(17)])
    expected = np.zeros((32, 32, 3))
    for i, weight in enumerate(weights / weights.sum()):
        down, right = (math.ceil(i * f(math.radians(angle)) - 0.5) for f in (math.sin, math.cos))
        rows, columns = np.clip(np.arange(32) + down, 0, 31), np.clip(np.arange(32) + right, 0, 31)
        expected += weight * IMAGES[0][rows][:, columns]
    assert close(moved(IMAGES[0], 8.0, 2.0, float(angle)), expected)


def test_the_angle_of_motion_blur_is_between_minus_and_plus_45_degrees():
    line = np.zeros((200, 41, 41, 3), np.uint8)
    line[:, 20, 20] = 255
    keys = np.random.default_rng(0).integers(0, 256, (200, 32)).astype(np.uint8)
    moved_to = motion_blur(line, seeds(keys, "x"), 9.0, 2.5)[..., 0]
    # A bright point becomes a line to the left of it, that goes up or down by no more than it goes left.
    away = np.argwhere(moved_to > 0) - [0, 20, 20]
    assert (away[:, 2] <= 0).all()
    assert (np.abs(away[:, 1]) <= -away[:, 2]).all()
    assert (away[:, 1] > 0).any()
    assert (away[:, 1] < 0).any()


def test_glass_blur_copies_neighbors_one_after_another():
    seed = np.uint64(99)
    pixels, drawn = IMAGES[0].copy(), 0
    for _ in range(2):
        for row in range(31, 1, -1):
            for column in range(31, 1, -1):
                bits = int(mixed(seed, drawn))
                drawn += 1
                right, down = ((half * 2 >> 32) - 1 for half in (bits & 0xFFFFFFFF, bits >> 32))
                assert {right, down} <= {-1, 0}
                pixels[row, column] = pixels[row + down, column + right]
    assert np.array_equal(glass_blur(IMAGES[:1], np.array([seed]), 0.01, 1, 2)[0], pixels)


def hsv(image, change):
    flat = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*(pixel / 255)))) for pixel in image.reshape(-1, 3)]
    return 255 * np.array(flat).reshape(image.shape)


def test_brightness_and_saturation_are_changed_in_hsv():
    image = np.concatenate([IMAGES[0], np.zeros((1, 32, 3), np.uint8), np.full((1, 32, 3), 90, np.uint8)])
    brighter, keys = hsv(image, lambda h, s, v: (h, s, min(v + 0.3, 1))), KEYS[:1]
    assert close(done("brightness", 5, images=image[None], keys=keys)[0], brighter)
    stronger = hsv(image, lambda h, s, v: (h, min(s * 2.5 + 0.2, 1), v))
    assert close(done("saturate", 5, images=image[None], keys=keys)[0], stronger)


def test_contrast_is_kept_about_the_mean_of_each_channel():
    means = IMAGES.mean(axis=(1, 2), keepdims=True)
    assert close(done("contrast", 5), (IMAGES - means) * 0.15 + means)


def test_pixelate_and_jpeg_are_pillows():
    for image, coarse, compressed in zip(IMAGES, done("pixelate", 5), done("jpeg_compression", 5), strict=True):
        small = Image.fromarray(image).resize((20, 20), Image.Resampling.BOX)
        assert np.array_equal(coarse, np.asarray(small.resize((32, 32), Image.Resampling.BOX)))
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=40)
        assert np.array_equal(compressed, np.asarray(Image.open(file)))


def test_elastic_transform_without_strength_or_jolt_is_the_image():
    assert np.array_equal(elastic_transform(IMAGES, seeds(KEYS, "x"), 0.0, 0.0, 0.0), IMAGES)


def test_elastic_transform_moves_pixels_as_scipy_maps_coordinates():
    seed, strength, sigma = np.uint64(3), 3.2, 1.28
    drawn = np.array([2 * uniform(seed, place) - 1 for place in range(6, 6 + 2 * 32 * 32)]).reshape(32, 32, 2)
    right, down = (ndimage.gaussian_filter(drawn[..., axis], sigma, truncate=3) * strength for axis in (0, 1))
    y, x = np.mgrid[:32, :32]
    expected = np.stack(
        [
            ndimage.map_coordinates(IMAGES[0, ..., c].astype(float), (y + down, x + right), order=1, mode="reflect")
            for c in range(3)
        ],
        axis=2,
    )
    assert close(elastic_transform(IMAGES[:1], np.array([seed]), strength, sigma, 0.0)[0], expected)


def test_one_stop_more_is_twice_the_light():
    coded = np.arange(256)[None, :, None, None].repeat(3, axis=3).astype(np.uint8)
    out = overexposure(coded.reshape(1, 1, 256, 3), seeds(KEYS[:1], "x"), 1.0)[0, 0, :, 0]
    linear = lambda v: v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4  # noqa: E731
    for gray in (0, 5, 50, 100, 150):
        assert linear(out[gray] / 255) == pytest.approx(2 * linear(gray / 255), abs=0.01)
    assert out[255] == 255


def test_a_quarter_turn_and_a_whole_crop_are_exact():
    assert np.array_equal(rotation(IMAGES, seeds(KEYS, "x"), 90.0), np.rot90(IMAGES, axes=(1, 2)))
    assert np.array_equal(crop(IMAGES, seeds(KEYS, "x"), 1.0), IMAGES)


def test_only_what_imagenet_c_is_made_of_is_scaled_and_cut():
    images = toy(2, size=40)
    view = corrupted(images, "crop", 1, profile="photo")
    raw = corrupt(images.batch(np.arange(2)), "crop", 1, profile="photo", keys=images.hashes)
    assert np.array_equal(np.stack([view.load(row) for row in range(2)]), raw)


def test_images_of_several_sizes_are_each_corrupted_by_their_own_key():
    edit = corrupted(toy(2), "gaussian_noise", 3).edit
    rng = np.random.default_rng(0)
    sizes = ((8, 8), (9, 8), (8, 8), (9, 8))
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    keys = rng.integers(0, 256, (4, 32), dtype=np.uint8)
    together = edit(images, keys)
    for row, image in enumerate(images):
        assert np.array_equal(together[row], edit([image], keys[row : row + 1])[0])
