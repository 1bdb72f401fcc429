import numpy as np
import pytest

import eyechart as ec
from eyechart.embedding.derived import embed_any
from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.encoders.noise import noise
from eyechart.encoders.pixels import pixels
from eyechart.registry import bind
from samples import picture, refuses, toy, toy_data


def loaded(text):
    return load_encoder(bind("encoders", text))


def test_pixels_are_the_image_scaled_to_a_small_square():
    image = picture(0, 16, 16)
    encoder = pixels(size=16)
    assert np.allclose(encoder.forward(image[None]), image.reshape(1, -1) / 255)
    assert (encoder.dim, encoder.distance, encoder.transform.size) == (768, "euclidean", 16)
    assert pixels(size=4).dim == 48


def test_noise_is_seeded_by_the_picture_alone():
    batch = np.stack([picture(i, 32, 32) for i in (0, 1, 0)])
    z = noise(dim=8).forward(batch)
    assert np.array_equal(z[0], z[2])
    assert not np.array_equal(z[0], z[1])
    assert np.array_equal(noise(dim=8).forward(batch[1:2])[0], z[1])


def test_noise_is_standard_normal():
    z = noise(dim=64).forward(np.stack([picture(i, 32, 32) for i in range(200)]))
    assert abs(z.mean()) < 0.05
    assert abs(z.std() - 1) < 0.05
    assert np.abs(np.corrcoef(z.T) - np.eye(64)).max() < 0.4


def test_noise_of_the_same_picture_in_another_size_of_embedding_has_another_key():
    assert loaded("noise(dim=8)").key != loaded("noise(dim=9)").key


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_concat_puts_parts_of_length_one_side_by_side():
    images = toy(6)
    parts = [embed(loaded(text), images).x for text in ("pixels(size=4)", "noise(dim=8)")]
    together = embed_any(loaded('concat(parts=("pixels(size=4)", "noise(dim=8)"))'), images, {"train": images})
    assert together.x.dtype == np.float32
    assert np.allclose(together.x, np.hstack([unit(part) for part in parts]), atol=1e-6)
    assert together.ids == images.ids


def test_concat_embeds_nothing_that_is_stored(forwards):
    images = toy(6)
    for text in ("pixels(size=4)", "noise(dim=8)"):
        embed(loaded(text), images)
    forwards.clear()
    embed_any(loaded('concat(parts=("pixels(size=4)", "noise(dim=8)"))'), images, {"train": images})
    assert forwards == []


def test_concat_within_concat():
    images = toy(6)
    inner = 'concat(parts=("pixels(size=4)", "noise(dim=8)"))'
    outer = f"concat(parts=({inner!r}, 'noise(dim=3)'))"
    assert embed_any(loaded(outer), images, {"train": images}).x.shape == (6, 48 + 8 + 3)


def test_the_key_of_concat_is_of_its_parts_in_their_order():
    keys = [
        loaded(f"concat(parts={parts})").key
        for parts in ('("pixels", "noise")', '("noise", "pixels")', '("pixels", "noise(dim=8)")')
    ]
    assert len(set(keys)) == 3
    assert loaded('concat(parts=("pixels(size=16)", "noise"))').key == keys[0]


@pytest.mark.parametrize("text", ["concat", 'concat(parts="pixels")', "concat(parts=())"])
def test_concat_needs_two_parts(text):
    with refuses("concat needs two or more encoders"):
        loaded(text)


def test_a_misspelt_part_stops_before_anything_is_computed(forwards):
    with refuses("no encoder is called 'pixls'"):
        ec.run(encoder=['concat(parts=("pixls", "noise"))'], data=[toy_data()], task=["knn(k=1)"], out="out")
    assert forwards == []


def test_concat_leaves_out_what_one_part_cannot_read(tmp_path):
    from samples import photos

    root = photos(tmp_path / "photos", n=6)
    (root / "cat" / "001.png").write_bytes(b"broken")
    data = bind("datasets", str(root)).call()
    split = next(images for images in data.values() if "cat/001.png" in images.ids)
    together = embed_any(loaded('concat(parts=("pixels(size=4)", "noise(dim=8)"))'), split, data)
    assert "cat/001.png" not in together.ids
    assert set(together.left_out) == {"cat/001.png"}
    assert len(together.x) == len(split) - 1


@pytest.mark.parametrize("text", ["noise(dim=0)", "noise(dim=-1)", "pixels(size=0)"])
def test_an_embedding_without_numbers_is_refused(text):
    with refuses("must be at least 1"):
        loaded(text)


@pytest.mark.parametrize("c", ["0", "(0.1, -1.0)"])
def test_a_linear_probe_needs_penalties_above_zero(c):
    done = ec.run(encoder=["pixels(size=4)"], data=[toy_data()], task=[f"linear(c={c})"], out="out")
    assert "c must be one or more numbers above 0" in str(done.failures)
