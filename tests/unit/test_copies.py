import json

import numpy as np
import pytest
from PIL import Image

from eyechart import settings
from eyechart.embedding import copies
from eyechart.embedding.copies import find, groups
from eyechart.images.views import from_arrays, from_files, rows
from photographs import COPIES, photograph
from samples import encoded, refuses


@pytest.fixture
def folder(tmp_path):
    """Ten photographs, three of them again: as PNG with other bytes, as JPEG, mirrored. And two that are broken."""
    root = tmp_path / "photos"
    root.mkdir()
    for seed in range(10):
        (root / f"{seed}.png").write_bytes(encoded(photograph(seed), "PNG"))
    (root / "a again.png").write_bytes(encoded(photograph(0), "PNG", compress_level=1))
    (root / "b again.jpg").write_bytes(encoded(photograph(1), "JPEG", quality=60))
    (root / "c mirrored.png").write_bytes(encoded(COPIES["mirrored"](photograph(2)), "PNG"))
    for name in ("x.png", "y.png"):
        (root / name).write_bytes(b"no image")
    return root


def opened(root, names=None, shuffle=None):
    names = sorted(path.name for path in root.iterdir()) if names is None else names
    if shuffle is not None:
        names = [names[i] for i in np.random.default_rng(shuffle).permutation(len(names))]
    return from_files(root, names, np.zeros(len(names), np.int64), classes=("one", "other"))


def named(numbers, ids):
    return {frozenset(ids[row] for row in several) for several in groups(numbers)}


EQUAL = frozenset({"0.png", "a again.png"})
BROKEN = frozenset({"x.png", "y.png"})
SAME = {EQUAL, BROKEN, frozenset({"1.png", "b again.jpg"}), frozenset({"2.png", "c mirrored.png"})}


@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_exact_and_near_duplicates_are_found_in_any_order(folder, shuffle):
    images = opened(folder, shuffle=shuffle)
    found = find([images])
    assert named(found.content, images.ids) == {EQUAL, BROKEN}  # equal files, readable or not
    assert named(found.picture, images.ids) == SAME
    assert {frozenset({images.ids[link.first], images.ids[link.second]}) for link in found.links} == SAME - {
        EQUAL,
        BROKEN,
    }
    assert {images.ids[link.first]: link.mirrored for link in found.links if link.mirrored}


def test_sizes_and_what_cannot_be_read_are_told(folder):
    images = opened(folder)
    found = find([images])
    sizes = dict(zip(images.ids, found.sizes.tolist(), strict=True))
    assert sizes["3.png"] == [96, 128]
    assert sizes["x.png"] == [0, 0]
    assert {images.ids[row] for row in found.unreadable} == BROKEN
    assert set(found.unreadable.values()) == {"this is no image file that can be read"}


def test_equal_pixels_are_equal_whatever_the_file_around_them(tmp_path):
    pixels = photograph(3)
    exif = Image.Exif()
    exif[0x010E] = "a title"
    files = {
        "png.png": encoded(pixels, "PNG"),
        "titled.png": encoded(Image.fromarray(pixels), "PNG", exif=exif),
        "bmp.bmp": encoded(pixels, "BMP"),
        "webp.webp": encoded(pixels, "WEBP", lossless=True),
        "other.png": encoded(photograph(4), "PNG"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    images = opened(tmp_path, list(files))
    assert named(find([images]).content, images.ids) == {frozenset(files) - {"other.png"}}


def test_parts_are_looked_at_together(folder):
    names = sorted(path.name for path in folder.iterdir())
    whole = opened(folder, names)
    parts = [opened(folder, [name for name in names if name[0] in first]) for first in ("0123x", "456789abcy")]
    ids = [name for part in parts for name in part.ids]
    assert named(find(parts).picture, ids) == named(find([whole]).picture, whole.ids) == SAME


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded."""
    from eyechart.images import views

    count = []
    real = views.decode
    monkeypatch.setattr(views, "decode", lambda content: count.append(1) or real(content))
    return count


def test_asked_again_in_other_splits_nothing_is_decoded_or_compared(folder, decoded, monkeypatch):
    whole = opened(folder)
    before = named(find([whole]).picture, whole.ids)
    assert len(decoded) == 15
    monkeypatch.setattr(copies.duplicates, "links", None)
    parts = [rows(whole, np.arange(0, 15, 2)), rows(whole, np.arange(1, 15, 2))]
    ids = [name for part in parts for name in part.ids]
    assert named(find(parts).picture, ids) == before
    renamed = opened(folder, shuffle=3)
    assert named(find([renamed]).picture, renamed.ids) == before
    assert len(decoded) == 15


def test_some_of_the_images_are_compared_anew_but_not_decoded(folder, decoded):
    whole = opened(folder)
    find([whole])
    few = rows(whole, np.array([i for i, name in enumerate(whole.ids) if name[0] in "01ab"]))
    assert named(find([few]).picture, few.ids) == {EQUAL, frozenset({"1.png", "b again.jpg"})}
    assert len(decoded) == 15


def memo():
    (path,) = (settings.active().cache_dir / "copies").iterdir()
    return path


@pytest.mark.parametrize("damage", [b"", b"{", b'{"content": []}'])
def test_a_damaged_memo_costs_a_search_and_nothing_else(folder, damage):
    images = opened(folder)
    before = find([images])
    memo().write_bytes(damage)
    again = find([images])
    assert np.array_equal(again.picture, before.picture)
    assert again.links == before.links
    assert set(json.loads(memo().read_text())) == {"content", "sizes", "unreadable", "links"}


def test_arrays_have_duplicates_too():
    pixels = np.stack([photograph(seed, 64, 64) for seed in (0, 1, 0, 2)])
    pixels[2] = pixels[0]
    images = from_arrays(pixels, np.zeros(4, np.int64), classes=("a", "b"), ids=list("wxyz"))
    assert named(find([images]).content, images.ids) == {frozenset("wy")}


def test_what_another_version_found_is_not_used(folder, monkeypatch):
    images = opened(folder)
    find([images])
    monkeypatch.setattr(copies.duplicates, "VERSION", 99)
    monkeypatch.setattr(copies.duplicates, "links", lambda pictures, n, *, what: [])
    assert find([images]).links == ()


def test_rows_are_counted_through_all_parts(folder):
    (folder / "y.png").write_bytes(b"something else that is no image")
    parts = [opened(folder, ["0.png", "x.png"]), opened(folder, ["3.png", "y.png", "1.png", "b again.jpg"])]
    found = find(parts)
    assert set(found.unreadable) == {1, 3}
    assert [(link.first, link.second) for link in found.links] in ([(4, 5)], [(5, 4)])


def test_links_name_the_first_row_of_a_content(folder):
    images = opened(folder, ["1.png", "b again.jpg", "3.png"])
    found = find([images, images])
    assert [{link.first, link.second} for link in found.links] == [{0, 1}]


def test_the_same_image_in_two_splits_is_found(folder):
    images = opened(folder, ["0.png", "1.png"])
    found = find([images, images])
    assert found.content.tolist() == found.picture.tolist() == [found.content[0], found.content[1]] * 2


def test_a_split_nobody_can_read_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    with refuses("none of the 1 images", "x.png: the file is empty"):
        find([opened(tmp_path)])


def test_groups_are_the_rows_with_one_number():
    assert [several.tolist() for several in groups(np.array([3, 1, 3, 1, 2]))] == [[1, 3], [0, 2]]
    assert groups(np.array([], dtype=np.int64)) == []
