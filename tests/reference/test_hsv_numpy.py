"""The HSV histogram against plain numpy and OpenCV's own."""

import cv2
import numpy as np
import pytest

from eyechart.embedding.fill import forward
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.preparing import prepare
from eyechart.registry import bind
from samples import picture, smooth

IMAGES = [picture(0, 256, 256), smooth(1, 256, 256), smooth(2, 256, 256) // 3]  # the size at which nothing is scaled


def features(image, bins):
    encoder = load_encoder(bind("encoders", f"hsv_histogram(bins={bins})"))
    return forward(encoder, prepare(encoder, [image]))[0]


def hsv_of(image):
    """Hue in halved degrees, saturation and value in [0, 255], by the textbook formula, rounded."""
    r, g, b = np.moveaxis(image[16:240, 16:240].astype(float), 2, 0)
    value, least = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    spread = value - least
    safe = np.where(spread > 0, spread, 1)
    sector = np.where(value == r, (g - b) / safe, np.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    hue = np.round(np.where(spread > 0, sector, 0) * 30) % 180
    saturation = np.round(255 * spread / np.where(value > 0, value, 1))
    return np.stack([hue, saturation, value], axis=2).astype(int)


def counted(hsv, bins):
    table = np.zeros(bins)
    for axis_values in (hsv.reshape(-1, 3) * bins) // (180, 256, 256):
        table[tuple(axis_values)] += 1
    return table.reshape(-1) / table.sum()


@pytest.mark.parametrize("bins", [(16, 16, 16), (8, 4, 2), (30, 32, 1)])
@pytest.mark.parametrize("image", IMAGES)
def test_it_counts_what_plain_numpy_counts(image, bins):
    ours = features(image, bins)
    exact = counted(cv2.cvtColor(image[16:240, 16:240], cv2.COLOR_RGB2HSV).astype(int), bins)
    np.testing.assert_allclose(ours, exact, atol=1e-7)
    # OpenCV's hue and saturation come from tables and may differ by one from the formula; few pixels cross a bin.
    assert np.abs(ours - counted(hsv_of(image), bins)).sum() < 0.02


def test_it_is_the_histogram_of_opencv_after_area_scaling():
    image = smooth(3, 300, 500)
    scaled = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)[16:240, 16:240]
    bgr = np.ascontiguousarray(scaled[..., ::-1])
    expected = cv2.calcHist(
        [cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)], [0, 1, 2], None, [16, 16, 16], [0, 180, 0, 256, 0, 256]
    )
    np.testing.assert_array_equal(features(image, (16, 16, 16)), expected.reshape(-1) / (224 * 224))
