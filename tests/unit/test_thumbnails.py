import hashlib

import numpy as np
import pytest

from eyechart.images.thumbnails import SIDE, WIDTH, encoder, known, pictures, thumbnail
from photographs import photograph, scaled
from samples import picture


def test_a_row_tells_the_size_and_the_hash_of_the_pixels():
    images = [picture(seed, 20 + seed, 300 - seed) for seed in range(5)]
    told = known(np.stack([thumbnail(image) for image in images]))
    assert told.sizes.tolist() == [[20 + seed, 300 - seed] for seed in range(5)]
    expected = [hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest() for image in images]
    assert [content.tobytes() for content in told.contents] == expected


def test_the_same_bytes_in_another_shape_are_another_content():
    tall = picture(0, 20, 10)
    told = known(np.stack([thumbnail(tall), thumbnail(np.ascontiguousarray(tall.reshape(10, 20, 3)))]))
    assert told.contents[0].tobytes() != told.contents[1].tobytes()


def test_pixels_that_lie_apart_in_memory_have_the_hash_of_their_copy():
    wide = picture(1, 30, 60)[:, ::2]
    told = known(np.stack([thumbnail(wide), thumbnail(np.ascontiguousarray(wide))]))
    assert told.contents[0].tobytes() == told.contents[1].tobytes()


def test_the_square_is_the_mean_of_blocks_of_the_gray_picture():
    image = picture(2, 3 * SIDE, 5 * SIDE)
    gray = np.rint(image @ np.array([0.299, 0.587, 0.114]))  # ITU-R BT.601, as everybody makes gray
    blocks = gray.reshape(SIDE, 3, SIDE, 5).mean(axis=(1, 3))
    assert np.abs(pictures(thumbnail(image)[None])[0] - blocks).max() < 1


@pytest.mark.parametrize("across", [False, True])
def test_each_direction_is_averaged_or_filled_by_itself(across):
    stripes = picture(3, 1, 5 * SIDE).repeat(10, axis=0)  # ten rows are fewer than the square has, and all the same
    gray = np.rint(stripes[0] @ np.array([0.299, 0.587, 0.114])).reshape(SIDE, 5).mean(axis=1)
    square = pictures(thumbnail(stripes.transpose(1, 0, 2) if across else stripes)[None])[0]
    assert np.abs((square.T if across else square) - gray).max() < 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (SIDE, SIDE), (10, 200), (47, 49)])
def test_a_picture_of_one_color_stays_of_that_color_whatever_its_shape(shape):
    row = thumbnail(np.full((*shape, 3), 77, np.uint8))
    assert row.shape == (WIDTH,)
    assert row.dtype == np.float32
    assert pictures(row[None]) == pytest.approx(77, abs=1e-4)  # means in float32


def test_a_larger_version_has_nearly_the_same_square():
    image = photograph(0, 96, 96)
    one, other = (pictures(thumbnail(version)[None])[0] for version in (image, scaled(image, 2.5)))
    assert np.abs(one - other).mean() < 1


def test_the_encoder_gives_rows_as_they_are():
    made = encoder()
    batch = np.stack([made.preprocess(picture(seed)) for seed in range(3)])
    assert made.dim == WIDTH == batch.shape[1]
    assert made.forward(batch) is batch
    assert made.key == encoder().key
    assert made.key.startswith("thumbnails-")
