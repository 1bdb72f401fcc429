import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eyechart.probes import centroid
from eyechart.probes.centroid import fit_centroid
from samples import clusters, refuses


def test_rows_are_centered_then_scaled_then_averaged():
    x = np.array([[2, 1], [1, 5], [0, 1]], np.float32)
    model = fit_centroid(x, np.array([0, 0, 1]), 2, mean=np.ones(2))
    assert np.allclose(model.centroids, [[0.5, 0.5], [-1, 0]])
    assert np.array_equal(model.mean, [1, 1])


def test_without_a_mean_that_of_the_rows_themselves_is_taken():
    x, y = clusters()
    model = fit_centroid(x, y, 3)
    assert np.allclose(model.mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)


def test_of_equally_near_centroids_the_lower_class_is_given():
    x = np.array([[0, 1], [1, 0], [-1, 0]], np.float32)
    model = fit_centroid(x, np.array([2, 0, 1]), 3, mean=np.zeros(2))
    queries = np.array([[1, 1], [-1, 1], [0, -1], [-1, -2]], np.float32)
    assert model.predict(queries).tolist() == [0, 1, 0, 1]


def test_a_class_without_images_is_never_predicted():
    x, y = clusters()
    y = np.where(y == 0, 4, y)
    found = fit_centroid(x, y, 6).predict(clusters(seed=1, n=300)[0])
    assert set(found) <= {1, 2, 4}
    assert len(set(found)) == 3


def test_rows_at_the_mean_have_no_direction():
    x = np.array([[1, 1], [3, 1], [1, 4]], np.float32)
    model = fit_centroid(x, np.array([0, 0, 1]), 2, mean=np.ones(2))
    assert np.allclose(model.centroids, [[0.5, 0], [0, 1]])
    assert model.predict(np.ones((1, 2), np.float32)).tolist() == [0]  # zero is nearer to the shorter centroid
    same = fit_centroid(np.full((2, 2), 0.1, np.float32), np.array([0, 1]), 2)
    assert same.predict(np.array([[5, 5]], np.float32)).tolist() == [0]


@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0.01, 100))
def test_centroids_ignore_rotation_scale_offset_and_the_order_of_rows(seed, d, scale):
    x, y = clusters(seed, n=15, d=d)
    queries = clusters(seed + 1, n=40, d=d)[0]
    rng = np.random.default_rng(seed + 2)
    rotation, offset, order = np.linalg.qr(rng.standard_normal((d, d)))[0], rng.standard_normal(d), rng.permutation(15)

    def moved(rows):
        return (scale * (rows @ rotation) + scale * offset).astype(np.float32)

    before, after = fit_centroid(x, y, 3), fit_centroid(moved(x)[order], y[order], 3)
    assert np.allclose(before.centroids @ rotation, after.centroids, atol=1e-3)
    far = distances(before, queries)
    certain = np.diff(np.sort(far, axis=1)[:, :2], axis=1)[:, 0] > 1e-3
    assert np.array_equal(before.predict(queries)[certain], after.predict(moved(queries))[certain])


def distances(model, queries):
    rows = queries - model.mean
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.linalg.norm(rows[:, None] - model.centroids, axis=2)


@given(st.integers(0, 10_000))
def test_renamed_classes_rename_the_answers(seed):
    x, y = clusters(seed)
    queries, names = clusters(seed + 1, n=40)[0], np.array([1, 2, 0])
    renamed = fit_centroid(x, names[y], 3).predict(queries)
    assert np.array_equal(names[fit_centroid(x, y, 3).predict(queries)], renamed)


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    x, y = clusters(n=100)
    whole = fit_centroid(x, y, 4)
    monkeypatch.setattr(centroid, "_ROWS", 7)
    assert np.allclose(fit_centroid(x, y, 4).centroids, whole.centroids, atol=1e-7)


def test_centroids_need_an_image():
    x, y = clusters()
    with refuses("one training image or more"):
        fit_centroid(x[:0], y[:0], 3)
