"""Principal axes against scikit-learn, and what is learnt from train and only there."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

import eyechart as ec
from eyechart.case import Case
from eyechart.embedding.derived import embed_any, width
from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _pca, _rows
from eyechart.encoders._pca import principal_axes
from eyechart.probes.knn import neighbors
from eyechart.registry import bind
from samples import clusters, refuses, toy, toy_data


def loaded(text):
    return load_encoder(bind("encoders", text))


def reduced(train, x, pca):
    encoder = loaded(f'reduce("noise", pca={pca})')
    return encoder.apply(encoder.fit([train]), [x])


def expected(train, x, pca):
    """scikit-learn's, in double precision; its signs differ between versions, so those of the largest number count."""
    model = PCA(pca, svd_solver="full").fit(train.astype(np.float64))
    largest = np.abs(model.components_).argmax(axis=1)
    signs = np.sign(model.components_[np.arange(pca), largest])
    return model, model.components_ * signs[:, None], model.transform(x.astype(np.float64)) * signs


@pytest.mark.parametrize(("n", "d"), [(200, 10), (11, 10), (10, 10), (9, 40), (2, 5)])
def test_axes_and_rows_are_those_of_scikit_learn(n, d):
    (train, _), (x, _) = clusters(0, n, d), clusters(1, 30, d)
    count = min(n - 1, d)
    model, components, rows = expected(train, x, count)
    axes = principal_axes(train, count, "count")
    assert np.allclose(axes.mean, model.mean_, atol=1e-12)
    assert np.allclose(axes.directions, components, atol=1e-9)
    assert np.allclose(axes.variances, model.explained_variance_, rtol=1e-9)
    assert np.allclose(reduced(train, x, count), rows, atol=1e-5)


def test_far_from_the_origin_no_digits_are_lost():
    train, _ = clusters(0, 300, 6)
    far = (train + 1e4).astype(np.float32)
    assert np.allclose(reduced(far, far, 4), expected(far, far, 4)[2], atol=1e-5)


def test_every_axis_has_its_largest_number_positive():
    axes = principal_axes(clusters(3, 100, 12)[0], None, "count").directions
    assert (axes[np.arange(12), np.abs(axes).argmax(axis=1)] > 0).all()


def test_of_equally_large_numbers_the_first_is_positive(rng):
    one = rng.standard_normal((50, 1)).astype(np.float32)
    for flipped in (1, -1):
        axis = principal_axes(flipped * np.hstack([one, -one, one]), 1, "count").directions[0]
        assert np.allclose(axis, np.array([1, -1, 1]) / np.sqrt(3))


@pytest.mark.parametrize(("n", "d"), [(60, 8), (8, 20)])
def test_the_order_of_train_does_not_matter(rng, n, d):
    train, _ = clusters(0, n, d)
    assert np.allclose(reduced(train, train, 5), reduced(rng.permutation(train), train, 5), atol=1e-5)


def test_the_size_of_a_block_does_not_matter(monkeypatch):
    train, _ = clusters(0, 100, 8)
    whole = reduced(train, train, 5)
    monkeypatch.setattr(_rows, "BLOCK", 7)
    monkeypatch.setattr(_pca, "BLOCK", 7)
    assert np.allclose(reduced(train, train, 5), whole, atol=1e-5)


def test_a_file_of_many_rows_is_read_block_by_block(tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.standard_normal((40_000, 64), dtype=np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    axes = principal_axes(mapped, 8, "count")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20 < mapped.nbytes
    assert np.allclose(axes.variances, expected(mapped, mapped[:1], 8)[0].explained_variance_, rtol=1e-9)


def test_all_axes_keep_every_distance():
    (train, _), (x, _) = clusters(0, 50, 8), clusters(1, 20, 8)
    before = neighbors(x, train, 50, distance="euclidean")
    after = neighbors(reduced(train, x, 8), reduced(train, train, 8), 50, distance="euclidean")
    assert np.array_equal(before.index, after.index)
    assert np.allclose(before.similarity, after.similarity, rtol=1e-4)


def test_a_constant_dimension_has_no_part_in_any_axis():
    train, _ = clusters(0, 60, 5)
    train[:, 2] = 0.1
    axes = principal_axes(train, None, "count")
    assert len(axes.directions) == 4
    assert np.abs(axes.directions[:, 2]).max() < 1e-12
    moved = train + np.array([0, 0, 9, 0, 0], np.float32)
    assert np.allclose(reduced(train, moved, 4), reduced(train, train, 4), atol=1e-5)


@pytest.mark.parametrize("d", [5, 30])
def test_beyond_the_directions_in_which_train_varies_there_are_zeros(d):
    train = np.repeat(clusters(0, 3, d)[0], 6, axis=0)  # 18 rows of which 3 differ: 2 directions
    rows = reduced(train, clusters(1, 10, d)[0], 5)
    assert np.array_equal(rows[:, 2:], np.zeros((10, 3)))
    assert (rows[:, :2] != 0).all()
    assert np.allclose(reduced(train, train, 2), expected(train, train, 2)[2], atol=1e-5)


def test_a_reduced_one_reduced_again_is_the_first_of_it():
    images = toy(20)
    once = embed_any(loaded('reduce("pixels(size=4)", pca=6)'), images, {"train": images})
    inner = 'reduce("pixels(size=4)", pca=6)'
    twice = embed_any(loaded(f"reduce({inner!r}, pca=3)"), images, {"train": images})
    assert np.allclose(np.abs(twice.x), np.abs(once.x[:, :3]), atol=1e-5)


def test_only_train_is_learnt_from():
    data = toy_data()
    other = data | {"test": toy(30, seed=9, name="other")}
    text = 'reduce("pixels(size=4)", pca=3)'
    before, after = ec.embed(text, data), ec.embed(text, other)
    for split in ("train", "val"):
        assert np.array_equal(before[split].x, after[split].x)
    changed = ec.embed(text, data | {"train": toy(12, seed=9)})
    assert not np.allclose(before["val"].x, changed["val"].x, atol=0.01)


def test_what_is_learnt_is_learnt_once_for_all_splits(monkeypatch):
    made, real = [], _pca.principal_axes
    monkeypatch.setattr("eyechart.encoders.reduce.principal_axes", lambda *a: (made.append(a[1]), real(*a))[1])
    inner = 'reduce("pixels(size=4)", pca=6)'
    case = Case(encoder=loaded(f"reduce({inner!r}, pca=3)"), data=toy_data(), task="here")
    for split in case.splits:
        assert case.embed(split).x.shape == (12, 3)
    assert sorted(made) == [3, 6]


def test_it_is_compared_by_the_distance_of_what_it_is_of():
    distances = {"noise": "cosine", "pixels": "euclidean", "hsv_histogram": "euclidean"}
    assert {name: loaded(f'reduce("{name}")').distance for name in distances} == distances
    assert loaded("hsv_histogram").distance == "chi-square"


def test_its_key_is_of_what_it_is_of_and_how_many():
    texts = ('reduce("noise", pca=3)', 'reduce("noise", pca=4)', 'reduce("noise(dim=9)", pca=3)')
    keys = [loaded(text).key for text in texts]
    assert len(set(keys)) == 3
    assert loaded('reduce(of="noise(dim=64)", pca=3)').key == keys[0]


def test_its_width_is_known_without_images():
    inner = 'reduce("pixels(size=4)", pca=6)'
    assert width(loaded(inner)) == 6
    assert width(loaded(f"concat({inner!r}, 'noise(dim=8)')")) == 14
    assert width(loaded("noise(dim=8)")) == 8


@pytest.mark.parametrize(
    ("n", "pca", "words"),
    [
        (12, 12, ("reduce: pca must be at most 11, one less than the 12 images of train", "got 12")),
        (99, 65, ("reduce: pca must be at most 64, the dimension", "got 65")),
        (1, 3, ("reduce", "two or more images", "got 1")),
    ],
)
def test_more_axes_than_there_can_be_are_refused(n, pca, words):
    train, _ = clusters(0, n, 64)
    with refuses(*words):
        reduced(train, train, pca)


def test_equal_images_have_no_axes():
    with refuses("reduce has nothing to learn from: all 5 embeddings of train are equal"):
        reduced(np.ones((5, 3), np.float32), np.ones((5, 3), np.float32), 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reduce(pca=5)", 'reduce needs an encoder: reduce("dinov2_b14", pca=128).'),
        ('reduce("noise", pca=0)', "reduce: pca must be at least 1; got 0."),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_embedded(text, said, forwards):
    with refuses(said):
        loaded(text)
    assert forwards == []


def test_too_few_training_images_fail_their_cell_in_one_line():
    done = ec.run(encoder=['reduce("pixels(size=4)")', "noise"], data=[toy_data()], task=["knn(k=1)"], out="out")
    (said,) = [str(failure) for failure in done.failures]
    assert "pca must be at most 48, the dimension of what it is given; got 128" in said
    assert [record.encoder for record in done.records] == ["noise"]
