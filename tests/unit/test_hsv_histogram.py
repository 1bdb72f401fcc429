import numpy as np
import pytest

from eyechart.embedding.fill import forward
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.preparing import prepare
from eyechart.registry import bind
from samples import picture, refuses, smooth


def encoder(options=""):
    return load_encoder(bind("encoders", f"hsv_histogram({options})"))


def features(images, options=""):
    made = encoder(options)
    return forward(made, np.concatenate([prepare(made, [image]) for image in images]))


def flat(color, height=40, width=60):
    return np.full((height, width, 3), color, np.uint8)


def bin_of(hue, saturation, value):
    return (hue * 16 + saturation) * 16 + value


@pytest.mark.parametrize(
    ("color", "where"),
    [
        ((255, 0, 0), bin_of(0, 15, 15)),
        ((0, 255, 0), bin_of(60 * 16 // 180, 15, 15)),  # OpenCV halves the degrees: green is 60, blue 120
        ((0, 0, 255), bin_of(120 * 16 // 180, 15, 15)),
        ((255, 255, 255), bin_of(0, 0, 15)),
        ((128, 128, 128), bin_of(0, 0, 8)),
        ((0, 0, 0), bin_of(0, 0, 0)),
    ],
)
def test_an_image_of_one_color_fills_one_bin(color, where):
    (histogram,) = features([flat(color)])
    assert histogram.shape == (4096,)
    assert histogram[where] == 1
    assert histogram.sum() == 1


def test_the_bins_are_shares_of_the_pixels():
    halves = np.concatenate([flat((255, 0, 0), 256, 128), flat((0, 0, 255), 256, 128)], axis=1)
    (histogram,) = features([halves])
    assert histogram[bin_of(0, 15, 15)] == histogram[bin_of(10, 15, 15)] == 0.5


def test_only_the_middle_counts():
    framed = flat((255, 255, 255), 256, 256)
    framed[16:240, 16:240] = (255, 0, 0)
    assert (features([framed]) == features([flat((255, 0, 0))])).all()


def test_the_shape_of_the_image_is_ignored():
    image = smooth(0, 256, 256)
    doubled = np.repeat(np.repeat(image, 2, axis=0), 4, axis=1)
    assert (features([image]) == features([doubled])).all()


def test_places_do_not_matter():
    image = picture(0, 256, 256)
    assert (features([image]) == features([image[::-1, ::-1]])).all()


def test_l1_adds_up_to_one_and_is_compared_by_chi_square():
    np.testing.assert_allclose(features([picture(i, 90, 70) for i in range(3)]).sum(axis=1), 1, rtol=1e-6)
    assert encoder().distance == "chi-square"
    assert encoder("bins=(4, 2, 3)").bins == (4, 2, 3)


def test_l2_is_the_same_direction_of_length_one_and_compared_by_chi_square():
    images = [picture(i, 90, 70) for i in range(3)]
    one, two = features(images), features(images, 'norm="l2"')
    np.testing.assert_allclose(np.linalg.norm(two, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(one / np.linalg.norm(one, axis=1, keepdims=True), two, rtol=1e-5)
    assert encoder('norm="l2"').distance == "chi-square"


def test_the_bins_can_be_chosen():
    assert features([picture(0)], "bins=(8, 4, 2)").shape == (1, 64)
    assert features([picture(0)], "bins=(1, 1, 1)").tolist() == [[1.0]]


@pytest.mark.parametrize("bins", ["(0, 16, 16)", "(181, 16, 16)", "(16, 257, 16)", "(16, 16, -1)"])
def test_bins_that_cannot_be_are_refused(bins):
    with refuses("bins must be between 1 and 180, 256, 256", bins):
        encoder(f"bins={bins}")


def test_an_image_does_not_depend_on_its_batch():
    images = [picture(i, 30 + i, 50) for i in range(7)]
    together = features(images)
    assert all((features([image])[0] == row).all() for image, row in zip(images, together, strict=True))


def test_the_layout_in_memory_does_not_matter():
    image = picture(0, 33, 47)
    assert (features([np.asfortranarray(image)]) == features([image])).all()


def test_a_single_pixel_is_an_image_too():
    assert features([np.array([[[255, 0, 0]]], np.uint8)])[0, bin_of(0, 15, 15)] == 1
