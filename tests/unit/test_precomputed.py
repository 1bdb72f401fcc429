import os
import shutil

import numpy as np
import pytest

from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.errors import Unavailable
from eyechart.exports import embed as export
from eyechart.images.views import edited, rows
from eyechart.registry import bind
from samples import refuses, toy, toy_data

LAYOUT = "x.npy (float32 [n, d], saved by numpy) and ids.txt (the n image ids, one per line, UTF-8)"


def write(folder, x, ids):
    folder.mkdir(exist_ok=True)
    np.save(folder / "x.npy", x)
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    return folder


@pytest.fixture
def stored(tmp_path, rng):
    """Twelve rows for the images of `toy()`, in another order than theirs."""
    ids = [f"toy-{i:03d}" for i in rng.permutation(12)]
    return write(tmp_path / "stored", rng.standard_normal((12, 5)).astype(np.float32), ids)


def load(folder):
    return load_encoder(bind("encoders", f"precomputed:{folder}"))


def test_rows_are_found_by_image_id(stored):
    images = toy()
    x = np.load(stored / "x.npy")
    ids = (stored / "ids.txt").read_text().split()
    z = embed(load(stored), images)
    assert z.x.dtype == np.float32
    assert all((z.x[i] == x[ids.index(name)]).all() for i, name in enumerate(images.ids))
    some = embed(load(stored), rows(images, np.array([7, 2])))
    assert (some.x == z.x[[7, 2]]).all()
    assert some.ids == ("toy-007", "toy-002")


def test_the_second_load_gives_the_same_without_the_first(stored):
    first, second = load(stored), load(stored)
    assert (first.key, first.dim, first.distance) == (second.key, 5, "cosine")
    assert (embed(first, toy()).x == embed(second, toy()).x).all()


def test_a_run_of_rows_stays_memory_mapped(tmp_path, rng):
    images = toy()
    x = rng.standard_normal((14, 5)).astype(np.float32)
    folder = write(tmp_path / "ordered", x, ["before", *images.ids, "after"])
    found = load(folder).lookup(images)
    assert isinstance(found, np.memmap)
    assert (found == x[1:13]).all()


def test_what_embed_writes_is_read_back(tmp_path):
    data = toy_data()
    embedded = export("pixels(size=4)", data, out=tmp_path / "written")
    encoder = load(tmp_path / "written")
    for split, images in data.items():
        z = embed(encoder, images)
        assert (z.x == embedded[split].x).all()
        assert z.ids == images.ids


def test_the_key_is_the_content_and_not_the_place(stored, tmp_path):
    shutil.copytree(stored, tmp_path / "copy")
    assert load(tmp_path / "copy").key == load(stored).key


@pytest.mark.parametrize("name", ["x.npy", "ids.txt"])
def test_a_changed_file_changes_the_key(name, stored):
    before = load(stored).key
    times = (stored / name).stat()
    content = bytearray((stored / name).read_bytes())
    content[-2] ^= 0x40  # of a digit it makes a letter
    (stored / name).write_bytes(content)
    os.utime(stored / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load(stored).key != before


def test_ids_may_hold_anything_but_a_line_feed(tmp_path, rng):
    names = ["größe/ä b.png", "a\u2028b", "c\x85d", "日本.jpg", " spaces "]
    images = toy(5)
    images = type(images)(**{**vars(images), "ids": tuple(names)})
    x = rng.standard_normal((5, 2)).astype(np.float32)
    assert (embed(load(write(tmp_path / "odd", x, names)), images).x == x).all()


def test_line_ends_of_windows_and_a_byte_order_mark_are_read_over(stored):
    before = embed(load(stored), toy()).x
    lines = (stored / "ids.txt").read_text().split()
    (stored / "ids.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert (embed(load(stored), toy()).x == before).all()


def test_missing_ids_are_counted_and_the_first_is_named(stored):
    with refuses("no embedding of 'toy-012': 8 of 20 images", str(stored), "another data set"):
        embed(load(stored), toy(20))


def test_repeated_ids_are_refused(tmp_path, rng):
    folder = write(tmp_path / "twice", rng.standard_normal((4, 2)).astype(np.float32), ["a", "b", "b", "a"])
    with refuses("ids.txt names 'b' more than once; 2 of its 4 ids are repeated"):
        load(folder)


def test_a_count_of_ids_that_differs_is_refused(tmp_path, rng):
    folder = write(tmp_path / "short", rng.standard_normal((4, 2)).astype(np.float32), ["a", "b", "c"])
    with refuses("names 3 images but x.npy has 4 rows"):
        load(folder)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((3, 2)), "is float64 of shape (3, 2)"),
        (np.zeros(3, np.float32), "is float32 of shape (3,)"),
        (np.zeros((0, 2), np.float32), "of shape (0, 2)"),
        (np.zeros((3, 2), ">f4"), "is >f4 of shape (3, 2)"),
        (np.array([["a"], [1], [None]], dtype=object), "cannot be read"),
    ],
)
def test_arrays_that_are_no_float32_rows_are_refused_with_the_layout(x, said, tmp_path):
    with refuses("x.npy", said, LAYOUT):
        load(write(tmp_path / "wrong", x, ["a", "b", "c"]))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x04N."])
def test_files_that_are_no_array_are_refused_with_the_layout(content, stored):
    (stored / "x.npy").write_bytes(content)
    with refuses("x.npy cannot be read", LAYOUT):
        load(stored)


def test_a_truncated_array_is_refused(stored):
    content = (stored / "x.npy").read_bytes()
    (stored / "x.npy").write_bytes(content[:-4])
    with refuses("x.npy cannot be read"):
        load(stored)


def test_ids_that_are_no_utf8_are_refused(stored):
    (stored / "ids.txt").write_bytes(b"\xff\xfe")
    with refuses("ids.txt is not UTF-8", LAYOUT):
        load(stored)


@pytest.mark.parametrize("name", ["x.npy", "ids.txt"])
def test_a_missing_file_is_named_with_the_layout(name, stored):
    (stored / name).unlink()
    with refuses(f"has no {name}", LAYOUT) as caught:
        load(stored)
    assert isinstance(caught.value, Unavailable)


def test_a_missing_folder_is_named_with_the_layout(tmp_path):
    with refuses(f"there is no folder {tmp_path / 'none'}", LAYOUT):
        load(tmp_path / "none")


def test_rows_that_are_not_finite_are_refused(tmp_path):
    x = np.zeros((12, 2), np.float32)
    x[4] = np.nan
    with refuses("not finite for 1 of 12 images"):
        embed(load(write(tmp_path / "nan", x, toy().ids)), toy())


class Inverted:
    key = "inverted"

    def __call__(self, images, hashes):
        return [255 - image for image in images]


@pytest.mark.parametrize("view", [lambda images: images, lambda images: rows(images, np.array([1, 3]))])
def test_changed_pictures_are_not_given_the_rows_of_the_unchanged(view, stored):
    changed = view(edited(toy(), Inverted()))
    with refuses("inverted changes them", "an encoder that can compute"):
        embed(load(stored), changed)


def test_rows_made_from_other_pictures_with_the_same_ids_are_refused(tmp_path):
    import eyechart as ec

    ec.embed("pixels(size=4)", "digits", limit=20, out=tmp_path / "vectors")
    whole = ec.embed(f"precomputed:{tmp_path / 'vectors'}", "digits", limit=20)
    assert whole["test"].x.shape == (20, 48)
    with pytest.raises(ec.EyechartError, match=r"another picture called 'digit-\d+'"):
        ec.embed(f"precomputed:{tmp_path / 'vectors'}", "digits(size=16)", limit=20)
