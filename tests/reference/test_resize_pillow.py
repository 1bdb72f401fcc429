"""Resizing, against Pillow, bit for bit."""

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eyechart.images.resize import FILTERS, resized
from samples import picture

OLD = int(PIL.__version__.partition(".")[0]) < 13  # before 13, Pillow always scaled across first


def pillows(image, shape, interpolation):
    method = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(image).resize(shape[::-1], method))


def same_order(source, result):
    return not (OLD and 0 < source[0] - result[0] > 2 * (source[1] - result[1]))


sides = st.integers(1, 150)


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.sampled_from(FILTERS), st.data())
@settings(max_examples=300, deadline=None)
def test_any_part_of_any_resized_image_is_pillows(source, result, interpolation, data):
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    wanted = []
    for side in result:
        start = data.draw(st.integers(0, side - 1))
        wanted.append((start, data.draw(st.integers(start + 1, side))))
    if same_order(source, result):
        rows, columns = (slice(*span) for span in wanted)
        expected = pillows(image, result, interpolation)[rows, columns]
        assert np.array_equal(resized(image, result, *wanted, interpolation), expected)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("shape", [(2000, 3000), (3000, 1000), (601, 1999)], ids=str)
def test_a_large_photograph_is_pillows(shape, interpolation):
    image, result = picture(0, *shape), (shape[0] // 7, shape[1] // 7)
    whole = (0, result[0]), (0, result[1])
    assert np.array_equal(resized(image, result, *whole, interpolation), pillows(image, result, interpolation))


def test_rows_that_are_not_contiguous_and_cannot_be_written_are_read():
    image = picture(0, 60, 90)[::2, ::-1]
    image.flags.writeable = False
    whole = (0, 20), (0, 20)
    expected = pillows(np.ascontiguousarray(image), (20, 20), "bicubic")
    assert np.array_equal(resized(image, (20, 20), *whole, "bicubic"), expected)
