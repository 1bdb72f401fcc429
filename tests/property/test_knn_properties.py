"""k-NN looks at nothing but which rows are near: not at rotation, row order, scale, or the size of a block."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eyechart.probes.knn import Work, neighbors, votes

seeds = st.integers(0, 10_000)
shapes = st.tuples(st.integers(1, 30), st.integers(2, 60), st.integers(2, 24))
distances = st.sampled_from(["cosine", "euclidean"])


def rows_near(q, x, k, **options):
    return neighbors(q, x, k, **options).index


def data(seed, shape):
    queries, database, d = shape
    rng = np.random.default_rng(seed)
    return rng.standard_normal((queries, d)).astype(np.float32), rng.standard_normal((database, d)).astype(np.float32)


def whole_numbers(seed, shape):
    """Exact in float32 whatever the order of summation, with many ties."""
    queries, database, d = shape
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (database, d))
    return rng.integers(-2, 3, (queries, d)).astype(np.float32), np.concatenate([x, -x]).astype(np.float32)


def near(q, x, found, distance):
    """The distances, in double precision, to the rows that were found."""
    q, x = q.astype(float), x.astype(float)
    if distance == "cosine":
        q, x = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (q, x))
    return np.linalg.norm(q[:, None] - x[found], axis=2)


@given(seeds, shapes, distances)
def test_a_rotation_changes_no_distance(seed, shape, distance):
    q, x = data(seed, shape)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed + 1).standard_normal((shape[2], shape[2])))
    rotation = rotation.astype(np.float32)
    k = min(5, len(x))
    before = near(q, x, rows_near(q, x, k, distance=distance), distance)
    after = near(q, x, rows_near(q @ rotation, x @ rotation, k, distance=distance), distance)
    assert np.allclose(before, after, atol=1e-4)


@given(seeds, shapes, distances)
def test_the_order_of_the_database_only_renames_its_rows(seed, shape, distance):
    q, x = data(seed, shape)
    order = np.random.default_rng(seed + 1).permutation(len(x))
    k = min(5, len(x))
    before = rows_near(q, x, k, distance=distance)
    after = order[rows_near(q, x[order], k, distance=distance)]
    assert np.allclose(near(q, x, before, distance), near(q, x, after, distance), atol=1e-4)


@given(seeds, shapes, distances)
def test_the_order_of_the_queries_only_reorders_the_answers(seed, shape, distance):
    q, x = whole_numbers(seed, shape)
    order = np.random.default_rng(seed + 1).permutation(len(q))
    k = min(4, len(x))
    if distance == "cosine":
        q, x = q + 3, x + 3  # angles of small numbers tie and are not exact
        before, after = rows_near(q, x, k), rows_near(q[order], x, k)
        assert np.allclose(near(q, x, before, distance)[order], near(q[order], x, after, distance), atol=1e-4)
    else:
        before, after = rows_near(q, x, k, distance=distance), rows_near(q[order], x, k, distance=distance)
        assert np.array_equal(before[order], after)


sizes = st.sampled_from([1, 7, 64, 1000])


@given(seeds, shapes, distances, sizes, sizes, st.sampled_from(["fp32", "bf16"]), st.booleans())
def test_the_size_of_a_block_and_the_precision_change_nothing(seed, shape, distance, rows, at_once, precision, ties):
    q, x = whole_numbers(seed, shape) if ties else data(seed, shape)
    k = min(9, len(x))
    whole = neighbors(q, x, k, distance=distance)
    work = Work(precision=precision, queries=at_once, rows=rows, chunk=max(at_once, 5), pilot=3)
    pieces = neighbors(q, x, k, distance=distance, work=work)
    assert np.array_equal(pieces.index, whole.index)
    assert np.array_equal(pieces.similarity, whole.similarity)


@given(seeds, shapes, distances, st.integers(2, 4))
def test_copies_of_rows_come_after_their_originals_in_any_block(seed, shape, distance, copies):
    q, x = data(seed, shape)
    n = len(x)
    repeated = np.tile(x, (copies, 1))
    once = rows_near(q, x, min(3, n), distance=distance)
    many = rows_near(q, repeated, copies * min(3, n), distance=distance, work=Work(queries=3, rows=5))
    expected = (once[:, :, None] + n * np.arange(copies)).reshape(len(q), -1)
    # Rows that are equally near to the last digit may change places, but never a row and its copy.
    assert np.allclose(near(q, repeated, many, distance), near(q, repeated, expected, distance), atol=1e-4)
    for row in many:
        for original in set(row % n):
            assert (np.diff(row[row % n == original]) > 0).all()


@given(seeds, shapes, st.floats(0.01, 100))
def test_cosine_ignores_the_length_of_an_embedding(seed, shape, scale):
    q, x = data(seed, shape)
    k = min(5, len(x))
    before, after = rows_near(q, x, k), rows_near(q * np.float32(scale), x / np.float32(scale), k)
    assert np.allclose(near(q, x, before, "cosine"), near(q, x, after, "cosine"), atol=1e-4)


@given(seeds, shapes, distances)
def test_more_neighbors_begin_with_the_fewer(seed, shape, distance):
    q, x = whole_numbers(seed, shape)
    x = np.concatenate([x, x])
    few = rows_near(q, x, 2, distance=distance)
    assert np.array_equal(rows_near(q, x, len(x), distance=distance)[:, :2], few)


@given(seeds, st.integers(1, 20), st.integers(1, 12), st.integers(1, 6))
def test_votes_do_not_depend_on_the_names_of_classes_where_one_wins(seed, queries, k, classes):
    labels = np.random.default_rng(seed).integers(0, classes, (queries, k))
    renamed = np.random.default_rng(seed + 1).permutation(classes)
    counts = np.stack([(labels == c).sum(axis=1) for c in range(classes)], axis=1)
    clear = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    before, after = votes(labels, classes, (k,))[k], votes(renamed[labels], classes, (k,))[k]
    assert np.array_equal(renamed[before[clear]], after[clear])


@given(seeds, st.integers(1, 20), st.integers(1, 6))
def test_votes_for_several_k_are_those_of_each(seed, queries, classes):
    labels = np.random.default_rng(seed).integers(0, classes, (queries, 9))
    together = votes(labels, classes, (1, 4, 9))
    for k, winners in together.items():
        assert np.array_equal(winners, votes(labels[:, :k], classes, (k,))[k])
        counts = np.stack([(labels[:, :k] == c).sum(axis=1) for c in range(classes)], axis=1)
        assert (counts[np.arange(queries), winners] == counts.max(axis=1)).all()
