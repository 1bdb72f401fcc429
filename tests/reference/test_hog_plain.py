"""The histogram of oriented gradients against the paper written out pixel by pixel, in double precision."""

import math

import numpy as np
import pytest

from eyechart.embedding.fill import forward
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.preparing import prepare
from eyechart.registry import bind
from samples import picture, smooth


def gradient(image, y, x):
    """The gradient (across, down) of the channel where it is longest; beyond the border the image repeats its edge."""
    last = len(image) - 1
    candidates = []
    for channel in range(3):
        across = int(image[y, min(x + 1, last), channel]) - int(image[y, max(x - 1, 0), channel])
        down = int(image[min(y + 1, last), x, channel]) - int(image[max(y - 1, 0), x, channel])
        candidates.append((across, down))
    return max(candidates, key=lambda g: g[0] ** 2 + g[1] ** 2)


def block(image, cells, orientations, row, column):
    """One block: every pixel in it votes, under a Gaussian, for two orientations in up to four cells."""
    width = len(image) / cells
    histogram, weight = np.zeros((2, 2, orientations)), 0.0
    for y in range(len(image)):
        for x in range(len(image)):
            v, u = y + 0.5 - row * width, x + 0.5 - column * width
            if not (0 <= v < 2 * width and 0 <= u < 2 * width):
                continue
            gaussian = math.exp(-((v - width) ** 2 + (u - width) ** 2) / (2 * width**2))
            across, down = gradient(image, y, x)
            length = math.hypot(across, down) / 255
            degrees = math.degrees(math.atan2(down, across)) % 180
            position = degrees / (180 / orientations)
            lower = math.floor(position)
            for j in range(2):
                for i in range(2):
                    near = max(0.0, 1 - abs(v / width - j - 0.5)) * max(0.0, 1 - abs(u / width - i - 0.5))
                    weight += gaussian * near
                    for orientation, part in ((lower, 1 - (position - lower)), (lower + 1, position - lower)):
                        histogram[j, i, orientation % orientations] += gaussian * near * length * part
    return histogram / weight


def hys(histogram):
    epsilon = 1 / 255
    once = histogram / math.sqrt((histogram**2).sum() + epsilon**2)
    clipped = np.minimum(once, 0.2)
    return clipped / math.sqrt((clipped**2).sum() + epsilon**2)


def described(image, cells, orientations):
    grid = [(row, column) for row in range(cells - 1) for column in range(cells - 1)]
    return np.concatenate([hys(block(image, cells, orientations, *at)).reshape(-1) for at in grid])


@pytest.mark.parametrize(("size", "cells", "orientations"), [(24, 3, 9), (16, 2, 6), (20, 4, 4), (25, 3, 9)], ids=str)
@pytest.mark.parametrize("draw", [lambda size: picture(0, size, size), lambda size: smooth(1, size, size) // 4])
def test_it_is_what_the_paper_says(draw, size, cells, orientations):
    image = draw(size)
    encoder = load_encoder(bind("encoders", f"hog(size={size}, cells={cells}, orientations={orientations})"))
    ours = forward(encoder, prepare(encoder, [image]))[0]
    np.testing.assert_allclose(ours, described(image, cells, orientations), atol=2e-5)
