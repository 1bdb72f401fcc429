"""An image has the same embedding whatever the batch, the threads, the shards, and the company it is in."""

import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eyechart.embedding import store
from eyechart.embedding.embed import embed
from eyechart.images.views import from_files, rows
from eyechart.settings import using
from samples import encoded, picture, plain_encoder, toy


def embedded(images, *, batch_size=32, workers=2, shard=512):
    """The embeddings, from an empty cache."""
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SHARD", shard)
        with using(cache_dir=cache, batch_size=batch_size, workers=workers):
            z = embed(plain_encoder(), images)
            again = embed(plain_encoder(), images)
        assert np.array_equal(z.x, again.x)
        return z


sizes = st.integers(1, 40)


@hypothesis_settings(max_examples=15)
@given(sizes, st.integers(1, 45), st.integers(1, 4), st.integers(1, 45))
def test_batches_threads_and_shards_change_no_row(n, batch_size, workers, shard):
    images = toy(n)
    z = embedded(images, batch_size=batch_size, workers=workers, shard=shard)
    assert np.allclose(z.x, embedded(images).x, atol=1e-6)
    assert z.ids == images.ids
    assert np.array_equal(z.y, images.labels)


@hypothesis_settings(max_examples=15)
@given(st.lists(st.integers(0, 29), unique=True, min_size=1), st.integers(1, 31))
def test_an_image_has_the_same_embedding_in_any_company(chosen, shard):
    images = toy(30)
    whole = embedded(images)
    some = embedded(rows(images, np.array(chosen)), shard=shard)
    assert np.allclose(some.x, whole.x[chosen], atol=1e-6)
    assert some.ids == tuple(images.ids[i] for i in chosen)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for i in range(12):
        (root / f"{i:02d}.png").write_bytes(encoded(picture(i, 8 + i % 3, 9), "PNG"))
        (root / f"broken {i:02d}.png").write_bytes(encoded(picture(i), "PNG")[:-30])
    return root


@hypothesis_settings(max_examples=15)
@given(
    st.lists(st.booleans(), min_size=1, max_size=12).filter(lambda broken: not all(broken)),
    st.integers(1, 13),
    st.integers(1, 13),
)
def test_unreadable_images_are_left_out_and_move_no_other_row(files, broken, batch_size, shard):
    names = [f"{'broken ' * is_broken}{i:02d}.png" for i, is_broken in enumerate(broken)]
    images = from_files(files, names, np.arange(len(names)), classes=[f"c{i}" for i in range(12)])
    z = embedded(images, batch_size=batch_size, shard=shard)
    good = [i for i, is_broken in enumerate(broken) if not is_broken]
    assert z.ids == tuple(names[i] for i in good)
    assert z.y.tolist() == good
    assert set(z.left_out) == set(names) - set(z.ids)
    alone = embedded(from_files(files, z.ids, np.array(good), classes=images.classes))
    assert np.allclose(z.x, alone.x, atol=1e-6)
