"""Whitened embeddings against their definition and scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

import eyechart as ec
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind
from samples import clusters, refuses, toy, toy_data


def whitened(train, x, **options):
    given = "".join(f", {name}={value}" for name, value in options.items())
    encoder = load_encoder(bind("encoders", f'whiten("noise"{given})'))
    assert encoder.distance == "cosine"
    return encoder.apply(encoder.fit([train]), [x])


def covariance(rows):
    return np.cov(rows.astype(np.float64), rowvar=False)


@pytest.mark.parametrize(("n", "d"), [(400, 12), (13, 12), (10, 40)])
def test_without_eps_the_covariance_of_train_is_the_identity(n, d):
    train, _ = clusters(0, n, d)
    rows = whitened(train, train, eps=0)
    assert rows.shape == (n, min(n - 1, d))
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(covariance(rows), np.eye(rows.shape[1]), atol=1e-4)


def test_without_eps_rows_are_those_of_scikit_learn():
    (train, _), (x, _) = clusters(0, 100, 8), clusters(1, 20, 8)
    model = PCA(5, svd_solver="full", whiten=True).fit(train.astype(np.float64))
    signs = np.sign(model.components_[np.arange(5), np.abs(model.components_).argmax(axis=1)])
    assert np.allclose(whitened(train, x, dims=5, eps=0), model.transform(x) * signs, atol=1e-5)


def test_eps_is_added_to_every_variance_as_a_share_of_the_largest():
    train, _ = clusters(0, 300, 8)
    variances = np.linalg.eigvalsh(covariance(train))[::-1]
    found = covariance(whitened(train, train, eps=0.3))
    assert np.allclose(found, np.diag(variances / (variances + 0.3 * variances[0])), atol=1e-5)


def test_the_scale_of_embeddings_does_not_matter():
    train, _ = clusters(0, 100, 8)
    for scale in (1e-6, 1e6):
        scaled = (scale * train).astype(np.float32)
        assert np.allclose(whitened(scaled, scaled), whitened(train, train), atol=1e-4)


def test_a_rotation_does_not_matter(rng):
    train, _ = clusters(0, 100, 6)
    turned = (train @ np.linalg.qr(rng.standard_normal((6, 6)))[0]).astype(np.float32)
    assert np.allclose(np.abs(whitened(turned, turned)), np.abs(whitened(train, train)), atol=1e-4)


def test_dims_keeps_the_axes_of_the_largest_variance():
    train, _ = clusters(0, 100, 8)
    assert np.allclose(whitened(train, train, dims=3), whitened(train, train)[:, :3])


def test_directions_without_variance_are_left_out():
    train, _ = clusters(0, 100, 6)
    train[:, 1] = 0.7  # constant
    train[:, 4] = train[:, 3]  # said twice
    rows = whitened(train, train, eps=0)
    assert rows.shape == (100, 4)
    assert np.allclose(covariance(rows), np.eye(4), atol=1e-4)
    moved = train + np.array([0, 1000, 0, 0, 0, 0], np.float32)
    assert np.allclose(whitened(train, moved, eps=0), rows, atol=1e-4)


@pytest.mark.parametrize("eps", [0, 0.1])
def test_axes_asked_for_beyond_those_are_zeros(eps):
    train = np.repeat(clusters(0, 3, 6)[0], 4, axis=0)
    rows = whitened(train, train, dims=5, eps=eps)
    assert rows.shape == (12, 5)
    assert np.array_equal(rows[:, 2:], np.zeros((12, 3)))


def test_duplicates_leave_rows_finite_and_equal():
    train = np.concatenate([clusters(0, 20, 30)[0]] * 2)
    rows = whitened(train, train, eps=0)
    assert rows.shape == (40, 19)
    assert np.array_equal(rows[:20], rows[20:])


def test_only_train_is_learnt_from():
    data = toy_data()
    text = 'whiten("pixels(size=4)")'
    before, after = ec.embed(text, data), ec.embed(text, data | {"test": toy(30, seed=9, name="other")})
    assert np.array_equal(before["train"].x, after["train"].x)
    assert np.array_equal(before["val"].x, after["val"].x)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("whiten(dims=5)", 'whiten needs an encoder: whiten("dinov2_b14", dims=256).'),
        ('whiten("noise", dims=0)', "whiten: dims must be at least 1 and eps at least 0; got dims=0, eps=0.1."),
        ('whiten("noise", eps=-0.1)', "got dims=None, eps=-0.1"),
    ],
)
def test_what_cannot_be_is_refused(text, said):
    with refuses(said):
        load_encoder(bind("encoders", text))


@pytest.mark.parametrize(
    ("n", "dims", "words"),
    [
        (1, "None", ("whiten learns from train and needs two or more images there", "got 1")),
        (5, "5", ("whiten: dims must be at most 4, one less than the 5 images of train", "got 5")),
        (50, "9", ("whiten: dims must be at most 8, the dimension", "got 9")),
    ],
)
def test_too_few_images_are_refused(n, dims, words):
    train, _ = clusters(0, n, 8)
    with refuses(*words):
        whitened(train, train, dims=dims)


def test_equal_images_cannot_be_whitened():
    with refuses("whiten has nothing to learn from: all 4 embeddings of train are equal"):
        whitened(np.ones((4, 3), np.float32), np.ones((4, 3), np.float32))
