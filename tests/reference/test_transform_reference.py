"""The square an encoder sees, against timm's own evaluation transform, pixel for pixel before normalization."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import Normalize

from eyechart.images.reading import Unreadable
from eyechart.images.transform import INTERPOLATIONS, check, resized_shape, square, squares
from eyechart.types import Transform
from samples import picture, refuses

SHAPES = [(64, 64), (37, 91), (120, 75), (33, 32), (31, 200), (500, 333), (7, 9), (1, 1), (224, 225)]
MEAN = (0.4, 0.5, 0.6)


def timms(transform, image):
    """timm's transform without its normalization, as uint8 [s, s, 3]."""
    made = create_transform(
        input_size=(3, transform.size, transform.size),
        is_training=False,
        interpolation=transform.interpolation,
        crop_pct=transform.crop_pct,
        crop_mode=transform.crop_mode,
        mean=MEAN,
        std=(1.0, 1.0, 1.0),
    )
    made.transforms = [step for step in made.transforms if not isinstance(step, Normalize)]
    out = made(Image.fromarray(image))
    if isinstance(out, torch.Tensor):
        out = (out * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return np.asarray(out)


def of(size, crop_pct, crop_mode, interpolation):
    fill = tuple(round(255 * value) for value in MEAN) if crop_mode == "border" else (0, 0, 0)
    return Transform(
        size=size, crop_pct=crop_pct, crop_mode=crop_mode, interpolation=interpolation, mean=MEAN, fill=fill
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 1.0])
def test_the_square_is_timms(shape, crop_mode, interpolation, crop_pct):
    image = picture(1, *shape)
    for size in (32, 47, 96):
        transform = of(size, crop_pct, crop_mode, interpolation)
        assert np.array_equal(square(transform, image), timms(transform, image)), size


def test_many_images_at_once_are_the_same_as_one_by_one():
    images = np.stack([picture(i, 50, 40) for i in range(5)])
    for crop_mode in ("center", "squash", "border"):
        transform = of(32, 0.9, crop_mode, "bicubic")
        assert np.array_equal(squares(transform, images), np.stack([square(transform, image) for image in images]))


def test_an_array_that_may_not_be_written_is_scaled_without_a_warning():
    image = np.asarray(Image.fromarray(picture(0, 50, 40)))
    assert not image.flags.writeable
    assert square(of(32, 0.9, "center", "bicubic"), image).shape == (32, 32, 3)


def test_an_image_of_the_right_size_is_left_alone():
    image = picture(0, 32, 32)
    for crop_mode in ("center", "squash", "border"):
        assert np.array_equal(square(of(32, 1.0, crop_mode, "bicubic"), image), image)


def test_the_border_has_the_color_that_is_stated():
    out = square(of(32, 1.0, "border", "bilinear"), np.full((10, 40, 3), 200, np.uint8))
    assert (out[0] == [102, 128, 153]).all()
    assert (out[16] == 200).all()
    assert int((out[:, 0] == 200).all(axis=1).sum()) == 8


def test_scaling_rounds_as_timm_does():
    transform = of(224, 0.875, "center", "bicubic")
    assert resized_shape(transform, 300, 500) == (256, 426)
    assert resized_shape(transform, 500, 300) == (426, 256)
    assert resized_shape(of(224, 0.9, "squash", "bicubic"), 300, 500) == (248, 248)
    assert resized_shape(of(224, 1.0, "border", "bicubic"), 300, 500) == (134, 224)


def test_a_strip_too_long_to_scale_is_unreadable_and_says_why():
    transform = of(32, 1.0, "center", "bicubic")
    assert square(transform, picture(0, 2, 400)).shape == (32, 32, 3)
    with pytest.raises(Unreadable, match=r"401 x 2 pixels is too long a strip \(more than 200:1\)"):
        square(transform, picture(0, 2, 401))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interpolation": "sinc"}, ["interpolation must be one of nearest, bilinear, bicubic", "'sinc'"]),
        ({"size": 0}, ["size must be at least 1", "got size 0"]),
        ({"crop_pct": 0.0}, ["crop_pct in (0, 1]", "crop_pct 0.0"]),
        ({"crop_pct": 1.1}, ["crop_pct in (0, 1]", "crop_pct 1.1"]),
        ({"std": (1.0, 0.0, 1.0)}, ["std must be positive", "(1.0, 0.0, 1.0)"]),
    ],
)
def test_a_transform_that_cannot_be_carried_out_is_refused(changes, words):
    with refuses(*words):
        check(Transform(**({"size": 32} | changes)))
