"""The embedding store: resume, damage, several processes, quarantine."""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from eyechart import adopt, settings
from eyechart.embedding import fill, preparing, store
from eyechart.embedding.embed import embed, embed_views, stored_already
from eyechart.embedding.loading import load_encoder
from eyechart.images.reading import Unreadable
from eyechart.images.views import detached, edited, from_arrays, from_files, rows
from eyechart.registry import bind
from eyechart.settings import using
from eyechart.types import Derived, Encoder, Transform
from samples import PLUGIN, encoded, mean_color, output_of, photos, picture, plain_encoder, refuses, run_python, toy


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(store, "SHARD", 8)


def cell(cache=None):
    """The folder of the only cell in the cache."""
    (folder,) = store.folders(cache or settings.active().cache_dir)
    return folder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def failing_after(calls, error=RuntimeError):
    """An encoder that works for so many batches and then fails."""
    made = []

    def forward(batch):
        if len(made) == calls:
            raise error("stop")
        made.append(len(batch))
        return mean_color(batch)

    return plain_encoder(forward=forward)


def undisturbed(images, tmp_path, **flags):
    """The bytes that a run without any trouble writes."""
    with using(cache_dir=tmp_path / "undisturbed", **flags):
        embed(plain_encoder(), images)
        return (cell() / "x.npy").read_bytes()


def test_what_is_stored_is_not_computed_again(forwards):
    images = toy(20)
    assert not stored_already(plain_encoder(), images)
    first = embed(plain_encoder(), images)
    assert sum(forwards) == 20
    assert stored_already(plain_encoder(), images)
    forwards.clear()
    second = embed(plain_encoder(), toy(20))
    assert forwards == []
    assert np.array_equal(first.x, second.x)


def test_stored_embeddings_are_memory_mapped_and_neighbors_stay_so():
    images = toy(20)
    for view in (images, rows(images, np.arange(5, 15))):
        x = embed(plain_encoder(), view).x
        assert isinstance(x, np.memmap)
    assert not isinstance(embed(plain_encoder(), rows(images, np.array([3, 9]))).x, np.memmap)


def test_in_the_end_there_is_one_array_and_what_it_is_of():
    images = toy(20)
    embed(plain_encoder(), images)
    assert names_in(cell()) == ["meta.json", "x.npy"]
    meta = json.loads((cell() / "meta.json").read_text())
    assert (meta["n"], meta["pixels"], meta["quarantined"]) == (20, images.pixels_key, {})
    assert meta["bytes"] == (cell() / "x.npy").stat().st_size
    assert np.load(cell() / "x.npy").shape == (20, 6)


def test_a_batch_never_crosses_a_shard(forwards):
    with using(batch_size=3):
        embed(plain_encoder(), toy(20))
    assert forwards == [3, 3, 2, 3, 3, 2, 3, 1]


@pytest.mark.parametrize("calls", [0, 1, 3, 4, 7])
def test_a_run_that_was_stopped_goes_on_with_the_next_shard_and_ends_with_the_same_bytes(tmp_path, forwards, calls):
    images = toy(20)
    with using(batch_size=3), pytest.raises(RuntimeError, match="stop"):
        embed(failing_after(calls), images)
    assert not (cell() / "meta.json").exists()
    forwards.clear()
    with using(batch_size=3):
        embed(plain_encoder(), images)
    finished = calls // 3  # three batches make a shard
    assert sum(forwards) == 20 - 8 * finished
    assert (cell() / "x.npy").read_bytes() == undisturbed(images, tmp_path, batch_size=3)


def test_a_stopped_run_leaves_no_temporary_file():
    with using(batch_size=3), pytest.raises(RuntimeError):
        embed(failing_after(4), toy(20))
    assert [name for name in names_in(cell()) if name.startswith(".tmp")] == []


def test_the_batch_size_that_was_recorded_is_used_again(tmp_path, forwards):
    images = toy(20)
    with using(batch_size=5), pytest.raises(RuntimeError):
        embed(failing_after(3), images)
    forwards.clear()
    embed(plain_encoder(), images)
    assert forwards == [5, 3, 4]
    assert (cell() / "x.npy").read_bytes() == undisturbed(images, tmp_path, batch_size=5)
    assert json.loads((cell() / "meta.json").read_text())["batch_size"] == 5


def test_a_batch_size_that_is_stated_wins(forwards):
    with using(batch_size=5), pytest.raises(RuntimeError):
        embed(failing_after(3), toy(20))
    forwards.clear()
    with using(batch_size=8):
        embed(plain_encoder(), toy(20))
    assert forwards == [8, 4]


def half_done(images):
    """A cell with its first shard finished and the second begun."""
    with using(batch_size=8), pytest.raises(RuntimeError):
        embed(failing_after(1), images)
    assert {"00000.npy", "00000.json"} <= set(names_in(cell()))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


DAMAGE = {
    "truncated": lambda folder: truncate(folder / "00000.npy"),
    "one bit": lambda folder: flip(folder / "00000.npy"),
    "empty": lambda folder: (folder / "00000.npy").write_bytes(b""),
    "array missing": lambda folder: (folder / "00000.npy").unlink(),
    "json missing": lambda folder: (folder / "00000.json").unlink(),
    "json truncated": lambda folder: truncate(folder / "00000.json"),
    "json of nothing": lambda folder: (folder / "00000.json").write_text("{}"),
    "json no object": lambda folder: (folder / "00000.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_shard_is_computed_again(tmp_path, forwards, damage):
    images = toy(20)
    half_done(images)
    damage(cell())
    forwards.clear()
    with using(batch_size=8):
        embed(plain_encoder(), images)
    assert sum(forwards) == 20
    assert (cell() / "x.npy").read_bytes() == undisturbed(images, tmp_path, batch_size=8)


def test_a_shard_of_other_rows_is_computed_again(tmp_path, forwards, monkeypatch):
    images = toy(20)
    half_done(images)
    monkeypatch.setattr(store, "SHARD", 16)  # as another release might have it
    forwards.clear()
    with using(batch_size=8):
        embed(plain_encoder(), images)
    assert sum(forwards) == 20
    assert (cell() / "x.npy").read_bytes() == undisturbed(images, tmp_path, batch_size=8)


def test_a_truncated_array_is_refused_with_what_to_do():
    embed(plain_encoder(), toy(20))
    truncate(cell() / "x.npy")
    with refuses("x.npy", "Delete", str(cell())):
        embed(plain_encoder(), toy(20))


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"encoder": 1}'])
def test_a_damaged_description_is_refused_with_what_to_do(content):
    embed(plain_encoder(), toy(20))
    (cell() / "meta.json").write_text(content)
    with refuses("meta.json", "damaged", "Delete"):
        embed(plain_encoder(), toy(20))


def test_after_the_advice_is_followed_the_next_run_embeds_again(forwards):
    first = np.array(embed(plain_encoder(), toy(20)).x)
    (cell() / "meta.json").write_text("{")
    (cell() / "meta.json").unlink()
    assert np.array_equal(embed(plain_encoder(), toy(20)).x, first)
    assert sum(forwards) == 40


def test_embeddings_of_something_else_are_refused():
    embed(plain_encoder(), toy(20))
    meta = json.loads((cell() / "meta.json").read_text())
    for changes in ({"encoder": "another-key"}, {"pixels": "another-key"}):
        (cell() / "meta.json").write_text(json.dumps(meta | changes))
        with refuses(str(cell()), "something else", "Delete that folder"):
            embed(plain_encoder(), toy(20))


def test_an_array_that_is_not_what_its_description_says_is_refused():
    embed(plain_encoder(), toy(20))
    np.save(cell() / "x.npy", np.zeros((19, 6), np.float32))
    with refuses("x.npy is not what", "meta.json", "Delete"):
        embed(plain_encoder(), toy(20))


def reported(monkeypatch):
    """What a run says of its progress, as (images, freshly computed)."""
    told = []

    @contextlib.contextmanager
    def progress(what, total):
        yield lambda done, *, fresh=True: told.append((done, fresh))

    monkeypatch.setattr(fill, "progress", progress)
    return told


def test_what_was_stored_is_no_work_done_and_nothing_is_reported_as_nothing(monkeypatch):
    half_done(toy(20))
    told = reported(monkeypatch)
    with using(batch_size=8):
        embed(plain_encoder(), toy(20))
    assert sorted(told) == [(4, True), (8, False), (8, True)]


def test_a_retry_with_smaller_batches_counts_every_image_once(monkeypatch):
    told, seen = reported(monkeypatch), []

    def forward(batch):
        seen.append(len(batch))
        if len(seen) == 4:  # the second batch of the second shard
            raise OutOfMemoryError("another program took the memory")
        return mean_color(batch)

    with using(batch_size=4):
        embed(plain_encoder(forward=forward), toy(20))
    assert (-4, False) in told
    assert sum(done for done, _ in told) == 20


def test_the_seconds_of_shards_do_not_overlap(monkeypatch):
    states, real = [], store.write_shard
    monkeypatch.setattr(store, "write_shard", lambda *given: states.append(given[-1]) or real(*given))

    def forward(batch):
        time.sleep(0.1)
        return mean_color(batch)

    start = time.monotonic()
    embed(plain_encoder(forward=forward), toy(40))
    total = time.monotonic() - start
    assert len(states) == 5
    assert 0.45 < sum(state["seconds"] for state in states) <= total + 0.01


def test_an_encoder_without_a_key_leaves_nothing_in_the_cache():
    code = """
from eyechart import adopt
from eyechart.embedding import store
from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from samples import plain_encoder, toy

encoder = load_encoder(adopt.bound("encoders", plain_encoder(key="")))
x = embed(encoder, toy(20)).x
assert embed(encoder, toy(20)).x.tobytes() == x.tobytes()
print(store._passing())
"""
    passing = Path(output_of(code))
    assert passing.is_absolute()
    assert not passing.exists()
    assert list(store.folders(settings.active().cache_dir)) == []


def key_of(**changes):
    return load_encoder(adopt.bound("encoders", plain_encoder(**changes))).key


def test_the_key_of_an_encoder_object_holds_all_that_it_states():
    changes = [{}, {"transform": Transform(size=8)}, {"dim": 7}, {"distance": "euclidean"}, {"weights": "abc"}]
    assert len({key_of(**change) for change in changes}) == len(changes)
    assert key_of() == key_of()


def test_the_key_of_a_derived_object_holds_its_parts_and_distance():
    def of(**changes):
        made = {"parts": ("pixels",), "apply": lambda state, parts: parts[0], "key": "mine"} | changes
        return load_encoder(adopt.bound("encoders", Derived(**made))).key

    changes = [{}, {"parts": ("pixels", "hog")}, {"distance": "euclidean"}]
    assert len({of(**change) for change in changes}) == 3
    assert of() == of()


def test_an_encoder_object_that_cannot_be_carried_out_is_refused():
    with refuses("interpolation must be one of", "'cubic'"):
        key_of(transform=Transform(size=4, interpolation="cubic"))
    with refuses("exactly one of transform, preprocess and lookup"):
        key_of(transform=None)


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


def hungry(limit, seen):
    def forward(batch):
        seen.append(len(batch))
        if len(batch) > limit:
            raise OutOfMemoryError("CUDA out of memory")
        return mean_color(batch)

    return plain_encoder(forward=forward)


def test_out_of_memory_halves_the_batch_and_keeps_what_is_finished(caplog):
    seen = []
    with using(batch_size=8), caplog.at_level(logging.WARNING, "eyechart"):
        z = embed(hungry(3, seen), toy(20), what="hungry on toys")
    assert seen == [8, 4, *[2] * 10]
    assert np.array_equal(z.x, embed(plain_encoder(key="other"), toy(20)).x)
    assert [record.getMessage() for record in caplog.records] == [
        "hungry on toys: out of memory; going on with batches of 4 images",
        "hungry on toys: out of memory; going on with batches of 2 images",
    ]


def test_out_of_memory_later_on_does_not_repeat_finished_shards():
    seen = []

    def forward(batch):
        seen.append(len(batch))
        if len(seen) == 2:
            raise OutOfMemoryError("another program took the memory")
        return mean_color(batch)

    with using(batch_size=8):
        embed(plain_encoder(forward=forward), toy(20))
    assert seen == [8, 8, 4, 4, 4]


def test_the_batch_that_fits_is_recorded_and_used_again():
    seen = []
    with using(batch_size=8):
        embed(hungry(4, seen), toy(20))
    assert json.loads((cell() / "meta.json").read_text())["batch_size"] == 4


def test_out_of_memory_with_one_image_is_an_error():
    with using(batch_size=4), pytest.raises(OutOfMemoryError):
        embed(hungry(0, []), toy(5))


def test_another_runtime_error_is_not_tried_again():
    seen = []

    def forward(batch):
        seen.append(len(batch))
        raise RuntimeError("shapes cannot be multiplied")

    with using(batch_size=8), pytest.raises(RuntimeError, match="cannot be multiplied"):
        embed(plain_encoder(forward=forward), toy(5))
    assert seen == [5]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_stop_with_one_line(value):
    def forward(batch):
        x = mean_color(batch)
        x[:2, 1] = value
        return x

    with refuses("the encoder plain gave features that are not finite for 2 of 5 images", "fp16", "--precision"):
        embed(plain_encoder(forward=forward), toy(5))
    assert not list(cell().glob("*.npy"))


@pytest.mark.parametrize(
    ("forward", "got"),
    [
        (lambda batch: mean_color(batch).astype(np.float64), "float64 of (5, 6)"),
        (lambda batch: mean_color(batch)[:, :5], "float32 of (5, 5)"),
        (lambda batch: mean_color(batch)[:-1], "float32 of (4, 6)"),
        (lambda batch: mean_color(batch)[0], "float32 of (6,)"),
    ],
)
def test_features_of_another_shape_or_type_stop_with_one_line(forward, got):
    with refuses("the encoder plain must give float32 of shape (5, 6)", f"got {got}"):
        embed(plain_encoder(forward=forward), toy(5))


def test_an_encoder_that_can_do_nothing_is_refused():
    with refuses("neither forward nor lookup"):
        embed(plain_encoder(forward=None), toy(5))


def test_no_images_are_refused():
    nothing = detached(rows(toy(5), np.array([], dtype=np.int64)))
    with refuses("there are no images to embed in the empty set"):
        embed(plain_encoder(), nothing, what="the empty set")
    with refuses("there are no images to embed in the empty part"):
        embed(plain_encoder(), rows(toy(5), np.array([], dtype=np.int64)), what="the empty part")


def broken_photos(tmp_path):
    root = photos(tmp_path / "photos", n=10)
    (root / "cat" / "001.png").write_bytes(b"")
    (root / "cat" / "004.png").write_bytes(b"text")
    (root / "dog" / "002.png").write_bytes(encoded(picture(0, 40, 40), "PNG")[:-200])
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    groups = [f"g{i}" for i in range(20)]
    return from_files(root, names, np.repeat([0, 1], 10), classes=["cat", "dog"], groups=groups)


BROKEN = {"cat/001.png", "cat/004.png", "dog/002.png"}


def test_unreadable_images_are_left_out_by_id_with_the_reason(tmp_path):
    images = broken_photos(tmp_path)
    for _ in range(2):  # computed, then from the store
        z = embed(plain_encoder(), images)
        assert set(z.left_out) == BROKEN
        assert z.left_out["cat/001.png"] == "the file is empty"
        assert z.left_out["cat/004.png"] == "this is no image file that can be read"
        assert "truncated" in z.left_out["dog/002.png"] or "broken" in z.left_out["dog/002.png"]
        assert z.x.shape == (17, 6)
        assert set(z.ids) == set(images.ids) - BROKEN
        assert [z.classes[label] for label in z.y] == [name.split("/")[0] for name in z.ids]
        assert z.groups == tuple(images.groups[images.ids.index(name)] for name in z.ids)


def test_of_a_part_only_its_own_unreadable_images_are_left_out(tmp_path):
    images = broken_photos(tmp_path)
    z = embed(plain_encoder(), rows(images, np.array([12, 3, 4, 19])))
    assert z.ids == (images.ids[3], images.ids[19])
    assert list(z.left_out) == [images.ids[12], images.ids[4]]
    whole = embed(plain_encoder(), images)
    assert np.array_equal(z.x, whole.x[[whole.ids.index(name) for name in z.ids]])


def test_unreadable_images_are_noted_even_when_a_run_is_resumed(tmp_path):
    images = broken_photos(tmp_path)
    with using(batch_size=4), pytest.raises(RuntimeError):
        embed(failing_after(3), images)
    assert set(embed(plain_encoder(), images).left_out) == BROKEN


def test_nothing_readable_is_one_line_with_a_reason(tmp_path):
    root = photos(tmp_path / "photos", n=2)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    for name in names:
        (root / name).write_bytes(b"text")
    images = from_files(root, names, np.array([0, 0, 1, 1]), classes=["cat", "dog"])
    with refuses("none of the 4 images of the photos could be read", "cat/000.png", "no image file"):
        embed(plain_encoder(), images, what="the photos")


def test_a_strip_that_cannot_be_scaled_is_left_out(tmp_path):
    root = photos(tmp_path / "photos", n=2)
    (root / "cat" / "000.png").write_bytes(encoded(picture(0, 2, 500), "PNG"))
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    z = embed(plain_encoder(), from_files(root, names, np.array([0, 0, 1, 1]), classes=["cat", "dog"]))
    assert "too long a strip" in z.left_out["cat/000.png"]
    assert len(z) == 3


def test_strips_in_memory_are_left_out_all_together():
    strips = from_arrays(np.zeros((5, 2, 500, 3), np.uint8), np.zeros(5, int), classes=["a"], ids=list("vwxyz"))
    with refuses("none of the 5 images of the strips could be read", "too long a strip"):
        embed(plain_encoder(), strips, what="the strips")


def test_an_encoders_own_preprocessing_may_refuse_an_image():
    def preprocess(image):
        if image[0, 0, 0] % 2:
            raise Unreadable("odd")
        return image.mean((0, 1))

    encoder = Encoder(dim=3, preprocess=preprocess, forward=lambda batch: batch.astype(np.float32), key="own")
    images = dataclasses.replace(toy(10), batch=None)
    z = embed(encoder, images)
    odd = {images.ids[i] for i in range(10) if images.load(i)[0, 0, 0] % 2}
    assert odd
    assert set(z.left_out) == odd
    assert np.allclose(z.x, [images.load(i).mean((0, 1)) for i in range(10) if images.ids[i] not in odd])


def test_settings_hold_in_the_decoding_threads_too():
    seen = set()

    def preprocess(image):
        seen.add((settings.active().workers, settings.active().precision))
        return image.mean((0, 1))

    encoder = Encoder(dim=3, preprocess=preprocess, forward=lambda batch: batch.astype(np.float32), key="own")
    with using(workers=3, precision="bf16"):
        embed(encoder, toy(10))
    assert seen == {(3, "bf16")}


class Darker:
    def __init__(self, by):
        self.by, self.key = by, f"darker by {by}"

    def __call__(self, images, hashes):
        return [image // self.by for image in images]


def test_views_of_one_picture_share_its_decoding(tmp_path):
    root = photos(tmp_path / "photos", n=10)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    images = from_files(root, names, np.repeat([0, 1], 10), classes=["cat", "dog"])
    loads = []

    def load(row, real=images.load):
        loads.append(row)
        return real(row)

    images = dataclasses.replace(images, load=load)
    views = [images, edited(images, Darker(2)), edited(images, Darker(4))]
    plain, dark, darkest = embed_views(plain_encoder(), views)
    assert sorted(loads) == list(range(20))
    assert np.allclose(dark.x, plain.x / 2, atol=1 / 255)
    assert np.allclose(darkest.x, plain.x / 4, atol=1 / 255)
    assert plain.ids == dark.ids == darkest.ids


def counted_loads(n, alive):
    """Images of native size that note how many of them are in memory, now and at most."""
    lock = threading.Lock()

    def changed(by):
        with lock:
            alive[0] += by
            alive[1] = max(alive)

    def load(row):
        pixels = picture(row, 40, 48)
        changed(1)
        weakref.finalize(pixels, changed, -1)
        return pixels

    return dataclasses.replace(toy(n), batch=None, load=load)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("room", [0, 5])
def test_large_pictures_are_in_memory_only_while_they_are_worked_on_and_few_wait(monkeypatch, views, room):
    monkeypatch.setattr(store, "SHARD", 64)
    monkeypatch.setattr(preparing, "_TOGETHER", 0)
    monkeypatch.setattr(preparing, "_KEPT", room * 40 * 48)
    alive = [0, 0]
    images = counted_loads(64, alive)
    with using(workers=2, batch_size=64):
        made = embed_views(plain_encoder(), [images, *(edited(images, Darker(by)) for by in range(2, views + 1))])
    assert all(len(z) == 64 for z in made)
    assert alive[0] == 0
    working, lots = 2 * 2, 64 // 16  # two threads, one picture each and the next one
    assert 1 <= alive[1] <= working + (lots * room if views > 1 else 0)


class Veiled:
    """Brightens every picture by the last byte of its content."""

    key = "veiled"

    def __call__(self, images, hashes):
        return [np.maximum(image, by) for image, by in zip(images, hashes[:, -1], strict=True)]


class Thinned:
    """Cuts every picture whose content begins with an even byte down to a strip that no encoder is shown."""

    key = "thinned"

    def __call__(self, images, hashes):
        return [
            image if odd else np.zeros((1, 201, 3), np.uint8)
            for image, odd in zip(images, hashes[:, 0] % 2, strict=True)
        ]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("beside", [True, False])
def test_a_picture_that_cannot_be_shown_leaves_the_others_of_its_lot(at_once, beside):
    images = toy(40)
    images = images if at_once else dataclasses.replace(images, batch=None)
    whole = embed_views(plain_encoder(), [images])[0]
    shown = np.flatnonzero(images.hashes[:, 0] % 2)
    assert 0 < len(shown) < 40
    views = [edited(images, Thinned()), *([edited(images, Darker(2))] if beside else [])]
    thinned = embed_views(plain_encoder(), views)[0]
    assert thinned.ids == tuple(images.ids[row] for row in shown)
    assert np.array_equal(thinned.x, whole.x[shown])
    assert set(thinned.left_out) == set(images.ids) - set(thinned.ids)


def test_pictures_in_memory_that_an_edit_refuses_are_left_out_whether_other_views_are_there_or_not():
    class Refusing:
        key = "refusing"

        def __call__(self, images, hashes):
            if (hashes[:, 0] % 2 == 0).any():
                raise Unreadable("not that one")
            return images

    images = toy(40)
    shown = images.hashes[:, 0] % 2
    alone = embed_views(plain_encoder(), [edited(edited(images, Refusing()), Darker(2))])[0]
    together = embed_views(plain_encoder(key="other"), [images, edited(edited(images, Refusing()), Darker(2))])[1]
    assert len(alone) == len(together) == shown.sum()
    assert np.array_equal(alone.x, together.x)


def test_an_edit_that_gives_fewer_pictures_than_it_was_given_is_named():
    class Lossy:
        key = "lossy"

        def __call__(self, images, hashes):
            return images[1:]

    with refuses("the edit lossy made 7 images of 8"):
        embed_views(plain_encoder(), [edited(toy(16), Lossy())])


def test_views_of_views_are_made_step_by_step_from_one_decode():
    loads, images = [], toy(20)
    images = dataclasses.replace(images, batch=None, load=lambda row, real=images.load: loads.append(row) or real(row))
    views = [edited(edited(images, Darker(2)), Veiled()), edited(edited(images, Darker(2)), Darker(3))]
    made = embed_views(plain_encoder(), [*views, edited(images, Darker(2))])
    assert sorted(loads) == list(range(20))
    for view, together in zip(views, made, strict=False):
        pixels = np.stack([view.load(row) for row in range(20)])
        alone = from_arrays(pixels, view.labels, classes=view.classes, ids=view.ids)
        assert np.array_equal(embed(plain_encoder(), alone).x, together.x)


def test_only_the_views_that_are_missing_are_computed(forwards):
    images = toy(20)
    embed(plain_encoder(), images)
    forwards.clear()
    embed_views(plain_encoder(), [images, edited(images, Darker(2))])
    assert sum(forwards) == 20


@pytest.mark.timeout(60)
def test_the_same_view_twice_is_computed_once(forwards):
    images = toy(20)
    first, second = embed_views(plain_encoder(), [edited(images, Darker(2)), edited(images, Darker(2))])
    assert np.array_equal(first.x, second.x)
    assert sum(forwards) == 20


def test_views_that_were_stopped_are_resumed_with_the_same_bytes(tmp_path):
    images = toy(20)
    views = [images, edited(images, Darker(2))]
    with using(batch_size=4), pytest.raises(RuntimeError):
        embed_views(failing_after(5), views)
    with using(batch_size=4):
        resumed = embed_views(plain_encoder(), views)
    with using(batch_size=4, cache_dir=tmp_path / "other"):
        straight = embed_views(plain_encoder(), views)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(resumed, straight, strict=True))


def test_rows_that_are_looked_up_need_no_pixels_and_no_store():
    table = np.arange(60, dtype=np.float32).reshape(20, 3)
    encoder = Encoder(dim=3, lookup=lambda images: table[[int(name[-3:]) for name in images.ids]], key="found")
    z = embed(encoder, rows(toy(20), np.array([4, 2])))
    assert np.array_equal(z.x, table[[4, 2]])
    assert list(store.folders(settings.active().cache_dir)) == []
    with refuses("not finite for 1 of 20"):
        table[3] = np.nan
        embed(encoder, toy(20))


def test_each_encoder_and_each_set_of_images_has_its_place():
    embed(plain_encoder(), toy(20))
    embed(plain_encoder(key="other"), toy(20))
    embed(plain_encoder(), toy(20, seed=5))
    assert len(list(store.folders(settings.active().cache_dir))) == 3


def test_temporary_files_of_killed_runs_are_found_when_they_are_old(tmp_path):
    (tmp_path / "cache" / "embeddings").mkdir(parents=True)
    old, young = (tmp_path / "cache" / "embeddings" / f".tmp-1-{age}-x.npy" for age in ("old", "young"))
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    assert list(store.leftovers(tmp_path / "cache")) == [old]


SLOW_PLUGIN = """
import os, time
import numpy as np
from eyechart import Encoder, Transform
from samples import mean_color


def slow(*, version: int = 1) -> Encoder:
    "The mean color, slowly; every batch is written down."

    def forward(batch):
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{len(batch)}\\n")
        time.sleep(float(os.environ.get("SLEEP", "0")))
        return mean_color(batch)

    return Encoder(dim=6, transform=Transform(size=4), forward=forward)
"""

EMBED = """
import sys
from samples import toy
from eyechart.embedding import store
from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind
from eyechart.settings import using

store.SHARD = 4
with using(plugins=[sys.argv[1]], cache_dir=sys.argv[2], batch_size=4):
    z = embed(load_encoder(bind("encoders", "slow")), toy(40))
print(z.x.tobytes().hex())
"""


def started(plugin, cache, calls, sleep):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "CALLS": str(calls), "SLEEP": str(sleep)}
    arguments = [sys.executable, "-c", EMBED, str(plugin), str(cache)]
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def batches(calls):
    return [int(line) for line in calls.read_text().split()] if calls.exists() else []


def test_a_killed_process_costs_at_most_the_shard_it_was_in(tmp_path, write_plugin):
    plugin, cache = write_plugin(SLOW_PLUGIN), tmp_path / "killed"
    process = started(plugin, cache, tmp_path / "first", sleep=0.2)
    deadline = time.monotonic() + 60
    while len(list(cache.glob("embeddings/*/*/0*.json"))) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = len(list(cell(cache).glob("0*.json")))
    assert 3 <= kept < 10
    assert not (cell(cache) / "meta.json").exists()
    resumed = output_of(EMBED, plugin, cache, CALLS=tmp_path / "second")
    assert batches(tmp_path / "second") == [4] * (10 - kept)
    straight = output_of(EMBED, plugin, tmp_path / "straight", CALLS=tmp_path / "third")
    assert resumed == straight
    assert (cell(cache) / "x.npy").read_bytes() == (cell(tmp_path / "straight") / "x.npy").read_bytes()


def test_two_processes_share_a_cell_without_computing_a_shard_twice(tmp_path, write_plugin):
    plugin, cache = write_plugin(SLOW_PLUGIN), tmp_path / "shared"
    both = [started(plugin, cache, tmp_path / name, sleep=0.15) for name in ("first", "second")]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    made = [batches(tmp_path / name) for name in ("first", "second")]
    assert sum(map(sum, made)) == 40
    assert outputs[0][0].strip() == output_of(EMBED, plugin, tmp_path / "alone", CALLS=tmp_path / "third")
    assert names_in(cell(cache)) == ["meta.json", "x.npy"]


FULL = """
import resource, sys
from samples import plain_encoder, toy
from eyechart.embedding import store
from eyechart.embedding.embed import embed
from eyechart.errors import EyechartError
from eyechart.settings import using

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
store.SHARD = 8
with using(cache_dir=sys.argv[1], batch_size=8):
    try:
        embed(plain_encoder(), toy(100))
    except EyechartError as error:
        print(error)
"""


@pytest.mark.parametrize("limit", [200, 1000])  # no shard fits; all shards fit, but not the array they make
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(tmp_path, limit, forwards):
    cache = tmp_path / "full"
    said = output_of(FULL, cache, limit)
    assert said.startswith("the disk is full: could not write")
    assert len(said.splitlines()) == 1
    assert not list(cache.rglob(".tmp-*"))
    with using(cache_dir=cache, batch_size=8):
        z = embed(plain_encoder(), toy(100))
    assert sum(forwards) == (100 if limit == 200 else 0)
    with using(cache_dir=tmp_path / "straight", batch_size=8):
        assert np.array_equal(z.x, embed(plain_encoder(), toy(100)).x)


def test_a_cache_that_may_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    code = """
import sys
from samples import plain_encoder, toy
from eyechart.embedding.embed import embed
embed(plain_encoder(), toy(5))
"""
    done = run_python(code, EYECHART_CACHE_DIR=tmp_path / "file" / "below")
    assert done.returncode != 0
    assert "EyechartError: cannot write" in done.stderr.strip().splitlines()[-1]


def test_an_encoder_whose_key_is_known_is_not_built_to_read_its_embeddings(write_plugin, tmp_path):
    built = tmp_path / "built"
    plugin = write_plugin(
        PLUGIN.replace(
            "    def forward", f"    with open({str(built)!r}, 'a') as file: file.write('x')\n\n    def forward"
        )
    )
    with using(plugins=[plugin]):
        first = load_encoder(bind("encoders", "tint"))
        embed(first, toy(20))
        assert built.read_text() == "x"
        again = load_encoder(bind("encoders", "tint"))
        z = embed(again, toy(20))
        assert (again.key, again.transform, again.dim) == (first.key, Transform(size=4), 3)
        assert built.read_text() == "x"
        assert z.x.shape == (20, 3)
        embed(again, toy(20, seed=9))
        embed(again, toy(20, seed=10))
        assert built.read_text() == "xx"


def test_a_network_that_several_threads_need_first_is_built_once(write_plugin, tmp_path):
    built = tmp_path / "built"
    plugin = write_plugin(f"""
import time
import numpy as np
from eyechart import Encoder


def own(*, version: int = 1) -> Encoder:
    with open({str(built)!r}, "a") as file:
        file.write("x")
    time.sleep(0.05)
    return Encoder(dim=3, preprocess=lambda image: image.mean((0, 1)), forward=lambda batch: batch.astype(np.float32))
""")
    images = dataclasses.replace(toy(20), batch=None)
    with using(plugins=[plugin], workers=4):
        load_encoder(bind("encoders", "own"))
        built.unlink()
        embed(load_encoder(bind("encoders", "own")), images)
    assert built.read_text() == "x"


@pytest.mark.parametrize("damage", ["", "{", "{}", "[]"])
def test_a_damaged_memo_of_a_key_costs_one_more_build(damage):
    first = load_encoder(bind("encoders", "pixels"))
    (memo,) = (settings.active().cache_dir / "keys").iterdir()
    memo.write_text(damage)
    again = load_encoder(bind("encoders", "pixels"))
    assert again.key == first.key
    assert json.loads(memo.read_text())["key"] == first.key
