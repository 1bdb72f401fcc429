import numpy as np
import pytest

from eyechart.embedding.fill import forward
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.preparing import prepare
from eyechart.registry import bind
from samples import picture, refuses, smooth


def encoder(options=""):
    return load_encoder(bind("encoders", f"hog({options})"))


def features(images, options=""):
    made = encoder(options)
    return forward(made, prepare(made, images))


def blocks(image, options="", cells=8, orientations=9):
    """The descriptor of one image: [block row, block column, cell row, cell column, orientation]."""
    return features([image], options)[0].reshape(cells - 1, cells - 1, 2, 2, orientations)


def edge(size=128, *, dark=(0, 0, 0), bright=(255, 255, 255)):
    """Dark left of the middle, bright from there on."""
    image = np.empty((size, size, 3), np.uint8)
    image[:, : size // 2], image[:, size // 2 :] = dark, bright
    return image


def energy(described):
    """The share of each orientation in all votes."""
    total = described.sum(axis=(0, 1, 2, 3))
    return total / total.sum()


def test_the_default_has_one_block_between_any_four_cells():
    assert encoder().dim == 7 * 7 * 4 * 9
    assert encoder("cells=4, orientations=6").dim == 3 * 3 * 4 * 6
    assert encoder().distance == "euclidean"


def test_a_vertical_edge_puts_all_energy_into_the_first_orientation():
    np.testing.assert_array_equal(energy(blocks(edge())), np.eye(9)[0])


def test_a_horizontal_edge_is_shared_by_the_two_orientations_beside_ninety_degrees():
    np.testing.assert_allclose(energy(blocks(edge().swapaxes(0, 1)))[[4, 5]], 0.5, rtol=1e-5)
    four = blocks(edge().swapaxes(0, 1), "orientations=4", orientations=4)
    np.testing.assert_allclose(energy(four), np.eye(4)[2], atol=1e-6)  # 0, 45, 90, 135 degrees


def test_a_diagonal_edge_lies_at_forty_five_degrees():
    down, across = np.mgrid[:128, :128]
    diagonal = np.repeat(np.where(down + across > 127, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    # Brightness grows down and to the right; the mask sees two of the four corners of the border's repetition.
    assert energy(blocks(diagonal, "orientations=4", orientations=4))[1] > 0.98
    assert energy(blocks(diagonal[:, ::-1], "orientations=4", orientations=4))[3] > 0.98


def test_only_blocks_that_see_the_edge_respond():
    described = blocks(edge())
    seen = described.any(axis=(0, 2, 3, 4))
    assert seen.tolist() == [False, False, True, True, True, False, False]  # the edge is between cells 3 and 4


def test_each_block_has_length_one_and_an_edge_in_one_cell_row_is_spread_evenly():
    described = blocks(edge())
    middle = described[3, 3]  # the edge runs through its center: four equal cells
    np.testing.assert_allclose(middle[..., 0], 0.5, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(described[:, 2:5].reshape(7, 3, -1), axis=2), 1, rtol=1e-4)


def test_no_direction_dominates_a_block():
    """Clipping at 0.2: a strong vertical edge and a weak horizontal one end up closer than they began."""
    image = edge(dark=(0, 0, 0), bright=(250, 250, 250)).astype(int)
    image[64:] -= np.minimum(image[64:], 60)
    center = blocks(image.astype(np.uint8))[3, 3].reshape(4, 9)
    assert 3 < center[:, 0].max() / center[:, 4:6].max() < 4  # without clipping 9.8


def test_dark_to_bright_is_bright_to_dark():
    image = smooth(0, 128, 128)
    np.testing.assert_allclose(features([255 - image]), features([image]), atol=1e-6)


def test_contrast_hardly_matters():
    image = smooth(1, 128, 128)
    one, half = features([image, image // 2])
    assert one @ half / np.linalg.norm(one) / np.linalg.norm(half) > 0.98


def test_the_channel_with_the_longest_gradient_counts():
    gray = features([edge()])
    np.testing.assert_allclose(features([edge(dark=(0, 0, 200), bright=(0, 255, 200))]), gray, atol=1e-6)
    np.testing.assert_allclose(features([edge(dark=(255, 0, 0), bright=(0, 200, 0))]), gray, atol=1e-6)


def test_an_image_without_edges_is_all_zeros():
    assert not features([np.full((50, 70, 3), 137, np.uint8)]).any()


def test_a_single_pixel_is_an_image_too():
    assert not features([np.full((1, 1, 3), 9, np.uint8)]).any()


def test_gray_images_are_described_as_any_other():
    gray = np.repeat(smooth(2, 100, 100)[..., :1], 3, axis=2)
    described = features([gray])
    assert np.isfinite(described).all()
    np.testing.assert_allclose(np.linalg.norm(described.reshape(49, 36), axis=1), 1, rtol=1e-2)


def test_an_image_does_not_depend_on_its_batch():
    images = [picture(i, 40, 40) for i in range(35)]
    together = features(images, "size=64")
    alone = np.concatenate([features([image], "size=64") for image in images])
    np.testing.assert_array_equal(together, alone)


def test_mirroring_the_image_mirrors_the_blocks():
    image = picture(3, 128, 128)
    mirrored = blocks(image[:, ::-1])
    back = mirrored[:, ::-1, :, ::-1][..., [0, 8, 7, 6, 5, 4, 3, 2, 1]]
    np.testing.assert_allclose(back, blocks(image), atol=1e-5)


@pytest.mark.parametrize("options", ["cells=1", "size=15", "orientations=1", "cells=8, size=0", "cells=-3"])
def test_options_that_cannot_be_are_refused(options):
    with refuses("hog needs cells of 2 or more, a size of at least twice that and orientations of 2 or more; got"):
        encoder(options)
