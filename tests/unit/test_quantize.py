"""Numbers of few bits: their error, what they learn, the Hamming distance, and the bytes they take."""

from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.case import Case
from eyechart.embedding import cost as measuring
from eyechart.embedding.cost import Seconds, embedding_bytes
from eyechart.embedding.loading import load_encoder
from eyechart.encoders import quantize as plugin
from eyechart.probes.knn import neighbors
from eyechart.registry import bind
from samples import clusters, photos, refuses, toy, toy_data

REDUCED = 'reduce("pixels(size=4)", pca=5)'


def loaded(text):
    return load_encoder(bind("encoders", text))


def quantized(train, x, bits):
    encoder = loaded(f'quantize("noise", bits={bits})')
    state = None if encoder.fit is None else encoder.fit([train])
    return encoder.apply(state, [x])


# Levels


@pytest.mark.parametrize("bits", [8, 4])
def test_a_number_within_the_extremes_of_train_is_at_most_half_a_step_off(bits):
    train, _ = clusters(0, 500, 6)
    rows = quantized(train, train, bits)
    step = (train.max(axis=0) - train.min(axis=0)) / (2**bits - 1)
    assert rows.dtype == np.float32
    assert (np.abs(rows - train) <= step / 2 * (1 + 1e-4)).all()
    assert (np.abs(rows - train).max(axis=0) > 0.4 * step).all()  # and it is not finer than it says


@pytest.mark.parametrize("bits", [8, 4])
def test_there_are_so_many_values_from_extreme_to_extreme(bits):
    train = np.linspace([-3, 0], [5, 0.1], 10_000).astype(np.float32)
    rows = quantized(train, train, bits)
    for column in range(2):
        values = np.unique(rows[:, column])
        assert len(values) == 2**bits
        assert np.allclose(np.diff(values), values[1] - values[0], rtol=1e-3)
        assert values[[0, -1]].tolist() == train[[0, -1], column].tolist()


def test_what_lies_beyond_the_extremes_of_train_becomes_the_end():
    train, _ = clusters(0, 50, 4)
    rows = quantized(train, np.array([[100.0] * 4, [-100.0] * 4], np.float32), 8)
    assert np.array_equal(rows, np.stack([train.max(axis=0), train.min(axis=0)]))


def test_a_dimension_that_is_constant_in_train_is_constant():
    train, _ = clusters(0, 50, 4)
    train[:, 1] = 0.3
    assert np.array_equal(quantized(train, train + 5, 8)[:, 1], np.full(50, 0.3, np.float32))


@pytest.mark.parametrize("bits", [16, 8, 4, 1])
def test_what_is_quantized_already_stays_as_it_is(bits):
    train, _ = clusters(0, 60, 5)
    once = quantized(train, train, bits)
    assert np.array_equal(quantized(once, once, bits), once)


def test_16_bits_are_half_precision(rng):
    x = (rng.standard_normal((40, 7)) * 10.0 ** rng.integers(-6, 4, (40, 7))).astype(np.float32)
    assert np.array_equal(quantized(x, x, 16), x.astype(np.float16).astype(np.float32))


def test_numbers_beyond_half_precision_are_refused():
    x = np.array([[65519.0, -65519.0]], np.float32)
    assert np.array_equal(quantized(x, x, 16), [[65504, -65504]])
    with refuses("quantize(bits=16)", "65504", "65520", "bits=8"):
        quantized(x, np.array([[1.0, -65520.0]], np.float32), 16)


# One bit


@pytest.mark.parametrize("n", [50, 51])
def test_one_bit_is_the_side_of_the_median_of_train(n):
    (train, _), (x, _) = clusters(0, n, 6), clusters(1, 20, 6)
    assert np.array_equal(quantized(train, x, 1), np.where(x > np.median(train, axis=0), 1, -1))
    assert np.abs((quantized(train, train, 1) > 0).sum(axis=0) - n / 2).max() <= 0.5


def test_medians_are_found_some_columns_at_a_time(monkeypatch):
    train, _ = clusters(0, 50, 7)
    whole = quantized(train, train, 1)
    monkeypatch.setattr(plugin, "_COLUMN_BYTES", 3 * 4 * 50)
    assert np.array_equal(quantized(train, train, 1), whole)


def test_of_rectified_numbers_that_are_mostly_zero_the_bit_says_whether_there_is_anything(rng):
    train = np.maximum(0, rng.standard_normal((80, 5)) - 0.5).astype(np.float32)
    assert np.array_equal(quantized(train, train, 1) > 0, train > 0)


@pytest.mark.parametrize("d", [7, 64])
def test_the_cosine_of_one_bit_numbers_orders_as_the_hamming_distance(d):
    (train, _), (x, _) = clusters(0, 90, d), clusters(1, 40, d)
    rows, queries = quantized(train, train, 1), quantized(train, x, 1)
    codes, asked = np.packbits(rows > 0, axis=1), np.packbits(queries > 0, axis=1)
    hamming = np.unpackbits(asked[:, None] ^ codes[None], axis=2).sum(axis=2, dtype=int)
    found = neighbors(queries, rows, 90, distance=loaded('quantize("pixels", bits=1)').distance)
    assert np.array_equal(found.index, np.argsort(hamming, axis=1, kind="stable"))
    assert np.allclose(found.similarity, 1 - 2 * np.sort(hamming, axis=1) / d)


# What it learns, and from what


@pytest.mark.parametrize("bits", [8, 4, 1])
def test_only_train_is_learnt_from(bits):
    data, text = toy_data(), f'quantize("pixels(size=4)", bits={bits})'
    before, after = ec.embed(text, data), ec.embed(text, data | {"test": toy(30, seed=9, name="other")})
    assert np.array_equal(before["train"].x, after["train"].x)
    assert np.array_equal(before["val"].x, after["val"].x)


@pytest.mark.parametrize("bits", [8, 4, 1])
def test_one_training_image_or_equal_ones_are_refused(bits):
    one = np.ones((1, 3), np.float32)
    with refuses(f"quantize(bits={bits}) learns from train and needs two or more images there; got 1"):
        quantized(one, one, bits)
    with refuses(f"quantize(bits={bits}) has nothing to learn from: all 4 embeddings of train are equal"):
        quantized(np.repeat(one, 4, axis=0), one, bits)


def test_half_precision_needs_no_training_images():
    assert loaded('quantize("noise", bits=16)').fit is None


def test_but_for_one_bit_the_distance_is_that_of_what_it_is_of():
    for name in ("pixels", "noise", "hsv_histogram"):
        for bits in (16, 8, 4):
            assert loaded(f'quantize("{name}", bits={bits})').distance == loaded(name).distance
        assert loaded(f'quantize("{name}", bits=1)').distance == "cosine"


def test_histograms_stay_without_negative_values(tmp_path):
    data = bind("datasets", str(photos(tmp_path / "photos"))).call()
    for bits in (16, 8, 4):
        assert ec.embed(f'quantize("hsv_histogram(bins=(4, 4, 4))", bits={bits})', data)["test"].x.min() >= 0


@pytest.mark.parametrize("text", ["quantize", "quantize(bits=4)"])
def test_it_needs_an_encoder(text):
    with refuses('quantize needs an encoder: quantize("dinov2_b14", bits=8)'):
        loaded(text)


def test_other_numbers_of_bits_are_refused():
    with refuses("quantize: bits must be one of 16, 8, 4, 1; got 5"):
        bind("encoders", 'quantize("noise", bits=5)')


def test_its_key_is_of_its_bits():
    assert len({loaded(f'quantize("noise", bits={bits})').key for bits in (16, 8, 4, 1)}) == 4


# Bytes


@pytest.fixture
def cost_of(monkeypatch):
    """What the task `cost` says of an encoder for 12 training images, with no time taken."""
    monkeypatch.setattr(measuring, "timed", lambda call, images, **_: Seconds(median=1.0, low=1.0, high=1.0, n=1))

    def measure(text, task="cost"):
        bound = bind("tasks", task)
        case = Case(encoder=loaded(text), data=toy_data(), task=bound.text, label="here")
        found = list(bound.entry.load()(case, **bound.options))
        return {m.metric: m.value for m in found if m.facets.get("head", "knn") == "knn"}

    return measure


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("pixels(size=4)", 48 * 4),
        ('quantize("pixels(size=4)", bits=16)', 96),
        ('quantize("pixels(size=4)", bits=8)', 48),
        ('quantize("pixels(size=4)", bits=4)', 24),
        ('quantize("pixels(size=4)", bits=1)', 6),
        (REDUCED, 5 * 4),
        (f"quantize({REDUCED!r}, bits=8)", 5),
        (f"quantize({REDUCED!r}, bits=4)", 3),
        (f"quantize({REDUCED!r}, bits=1)", 1),
        ("reduce(\"quantize('pixels(size=4)', bits=1)\", pca=5)", 5 * 4),  # whose numbers are no longer bits
        (f"concat({REDUCED!r}, \"quantize('noise(dim=8)', bits=1)\")", 13 * 4),
        ('whiten("pixels(size=4)")', 11 * 4),  # as many axes as 12 training images have
        ('whiten("pixels(size=4)", dims=3)', 3 * 4),
    ],
)
def test_the_bytes_of_an_embedding_are_its_dimensions_times_their_bits(text, size, cost_of):
    measured = cost_of(text)
    assert measured["bytes_per_embedding"] == size
    assert measured["head_bytes"] == 12 * (size + 8)  # of k-NN: 12 stored images with their labels


def test_with_random_stored_rows_nothing_is_embedded_to_know_the_bytes(cost_of):
    measured = cost_of(f"quantize({REDUCED!r}, bits=4)", "cost(stored=1000)")
    assert (measured["bytes_per_embedding"], measured["head_bytes"]) == (3, 1000 * (3 + 8))
    assert not list(Path("cache").glob("embeddings/*/*"))


def test_bytes_are_whole():
    assert [embedding_bytes(loaded('quantize("noise", bits=1)'), dim) for dim in (1, 8, 9)] == [1, 1, 2]
    assert embedding_bytes(loaded("noise"), 9) == 36
