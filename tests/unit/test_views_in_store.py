"""Views in the store and on disk: several of one set at once, what they share, and what stops them."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import eyechart as ec
import eyechart.datasets.cifar10 as clean_cifar10
import eyechart.datasets.imagenet as clean_imagenet
from archives import cifar10_images, write_cifar10, write_jpegs
from eyechart import corrupting, settings
from eyechart.embedding import fill, store
from eyechart.embedding.embed import embed, embed_views
from eyechart.images.corruptions import Middle, corrupt, corrupted
from eyechart.images.views import edited, from_files
from eyechart.registry import bind
from eyechart.settings import using
from eyechart.study import read_study
from miniatures import write_imagenet_c
from samples import encoded, mean_color, photos, plain_encoder, refuses, smooth, toy


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(store, "SHARD", 8)


class Darker:
    def __init__(self, by):
        self.by, self.key = by, f"darker by {by}"

    def __call__(self, images, hashes):
        return [image // self.by for image in images]


def dark_views(images):
    return [images, edited(images, Darker(2)), edited(images, Darker(3))]


def slot_of(view):
    return store.slot(settings.active().cache_dir, "plain", view.pixels_key, len(view), 6)


def failing_after(calls):
    """An encoder that works for so many batches and then fails."""
    made = []

    def forward(batch):
        if len(made) == calls:
            raise RuntimeError("stop")
        made.append(len(batch))
        return mean_color(batch)

    return plain_encoder(forward=forward)


# -- several processes -----------------------------------------------------------------------------------------------


def test_a_shard_is_locked_for_all_its_views_until_the_last_of_them_is_computed():
    views, free = dark_views(toy(20)), []

    def forward(batch):
        with contextlib.ExitStack() as claims:
            shard = len(free) // len(views)
            free.append([claims.enter_context(store.claimed(slot_of(view), shard)) for view in views])
        return mean_color(batch)

    embed_views(plain_encoder(forward=forward), views)
    assert free == [[False] * 3] * 9  # three shards of three views


SHARED = """
import sys, time
from pathlib import Path
from samples import mean_color, plain_encoder, toy
from eyechart.embedding import store
from eyechart.embedding.embed import embed_views
from eyechart.images.views import edited
from eyechart.settings import using

folder, mine, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store.SHARD = 8


class Darker:
    def __init__(self, by):
        self.by, self.key = by, f"darker by {by}"

    def __call__(self, images, hashes):
        return [image // self.by for image in images]


def forward(batch):
    with (folder / mine).open("a") as file:
        file.write(f"{len(batch)} ")
    while not (folder / other).exists():  # both are at work before either goes on
        time.sleep(0.01)
    time.sleep(0.1)
    return mean_color(batch)


images = toy(60)
views = [images, edited(images, Darker(2)), edited(images, Darker(3))]
with using(cache_dir=folder / "cache"):
    made = embed_views(plain_encoder(forward=forward), views)
print(*(z.x.tobytes().hex() for z in made))
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two processes did that embedded three views of one set at the same time."""
    folder = tmp_path_factory.mktemp("shared")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EYECHART_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", SHARED, str(folder), *names],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for names in (("first", "second"), ("second", "first"))
    ]
    try:
        said = [process.communicate(timeout=120) for process in both]
    finally:
        for process in both:  # one that waits for another that failed would wait for good
            process.kill()
    assert [process.returncode for process in both] == [0, 0], said
    batches = [[int(n) for n in (folder / name).read_text().split()] for name in ("first", "second")]
    return SimpleNamespace(batches=batches, outputs=[out for out, _ in said], cache=folder / "cache")


def test_two_processes_that_embed_three_views_of_one_set_compute_nothing_twice(shared):
    first, second = shared.batches
    assert sorted(first + second) == [4] * 3 + [8] * 21


def test_two_processes_that_share_three_views_end_with_the_bytes_of_each_view_alone(shared):
    alone = " ".join(embed(plain_encoder(), view).x.tobytes().hex() for view in dark_views(toy(60)))
    assert [out.strip() for out in shared.outputs] == [alone] * 2


def test_two_processes_that_share_three_views_leave_three_arrays_and_no_shards(shared):
    folders = list(store.folders(shared.cache))
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["meta.json", "x.npy"]] * 3


# -- progress and resuming -------------------------------------------------------------------------------------------


def stopped_between_views(images):
    """The first view has its first shard, in batches of 3; the second has none."""
    with using(batch_size=3), pytest.raises(RuntimeError, match="stop"):
        embed_views(failing_after(4), dark_views(images)[:2])
    assert [store.shard_state(slot_of(view), 0) is not None for view in dark_views(images)[:2]] == [True, False]


def test_views_that_were_stopped_between_two_of_them_go_on_with_the_recorded_batch_size(forwards):
    images = toy(20)
    stopped_between_views(images)
    forwards.clear()
    embed_views(plain_encoder(), dark_views(images)[:2])
    assert forwards == [3, 3, 2, *[3, 3, 2] * 2, *[3, 1] * 2]


@pytest.fixture
def told(monkeypatch):
    """What a run says of its progress: how many images there are, and (images, freshly computed) of each step."""
    said = SimpleNamespace(totals=[], steps=[])

    @contextlib.contextmanager
    def progress(what, total):
        said.totals.append(total)
        yield lambda done, *, fresh=True: said.steps.append((done, fresh))

    monkeypatch.setattr(fill, "progress", progress)
    return said


def test_the_progress_of_several_views_counts_each_image_once_for_each_view(told):
    embed_views(plain_encoder(), dark_views(toy(20)))
    assert told.totals == [60]
    assert told.steps == [(8, True)] * 6 + [(4, True)] * 3


def test_of_views_that_were_stopped_between_two_of_them_what_is_stored_is_counted_once_and_not_as_fresh(told):
    images = toy(20)
    stopped_between_views(images)
    told.totals.clear()
    told.steps.clear()
    embed_views(plain_encoder(), dark_views(images)[:2])
    assert told.totals == [40]
    assert [done for done, fresh in told.steps if not fresh] == [8]
    assert sum(done for done, fresh in told.steps if fresh) == 32


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


def test_several_views_whose_batch_is_halved_in_the_second_of_them_count_each_image_once(told):
    calls = []

    def forward(batch):
        calls.append(len(batch))
        if len(calls) == 4:  # the second half of the second view's first shard
            raise OutOfMemoryError("another program took the memory")
        return mean_color(batch)

    with using(batch_size=4):
        embed_views(plain_encoder(forward=forward), dark_views(toy(8))[:2])
    assert calls == [4, 4, 4, 4, 2, 2, 2, 2]
    assert sum(done for done, _ in told.steps) == 16


# -- corruptions -----------------------------------------------------------------------------------------------------


def test_what_imagenet_c_scales_and_cuts_is_made_once_for_all_corrupted_views(monkeypatch):
    seen, real = [], Middle.__call__
    monkeypatch.setattr(
        Middle, "__call__", lambda self, images, hashes: seen.extend(images) or real(self, images, hashes)
    )
    images = toy(12)
    cells = (("contrast", 3), ("contrast", 5), ("pixelate", 3))
    embed_views(plain_encoder(), [corrupted(images, *cell, profile="imagenet-c") for cell in cells])
    assert sorted(image.tobytes() for image in seen) == sorted(images.load(row).tobytes() for row in range(12))


def test_files_of_several_sizes_are_each_corrupted_by_their_own_key_in_the_store(tmp_path):
    sizes = {"cat/a.png": (30, 40), "cat/b.png": (20, 20), "dog/c.png": (30, 40), "dog/d.png": (25, 20)}
    for seed, (name, size) in enumerate(sizes.items()):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_bytes(encoded(smooth(seed, *size), "PNG"))
    images = from_files(tmp_path / "p", list(sizes), np.array([0, 0, 1, 1]), classes=["cat", "dog"])
    encoder = plain_encoder(transform=None, preprocess=lambda image: image[:20, :20])
    embedded = embed(encoder, corrupted(images, "gaussian_noise", 3))
    alone = [
        corrupt(images.load(row)[None], "gaussian_noise", 3, profile="cifar-c", keys=images.hashes[row : row + 1])
        for row in range(4)
    ]
    assert np.array_equal(embedded.x, np.concatenate([mean_color(image[:, :20, :20]) for image in alone]))


# -- corrupted images that others made -------------------------------------------------------------------------------

WNIDS = ["n01440764", "n01443537", "n01484850", "n02012849"]
VAL = {f"ILSVRC2012_val_{n + 1:08d}.JPEG": WNIDS[(3 * n + 1) % 4] for n in range(8)}
FOG = "imagenet_c(corruptions='fog', severities=(2,), val=0.2)"


@pytest.fixture
def foggy(tmp_path, monkeypatch):
    """The folder of one severity of a small ImageNet-C."""
    for name, value in {"CLASSES": 4, "TRAIN": 20, "TEST": 8}.items():
        monkeypatch.setattr(clean_imagenet, name, value)
    train = [f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in WNIDS for n in range(5)]
    val = [f"val/{wnid}/{name}" for name, wnid in VAL.items()]
    plain = write_jpegs(tmp_path / "data" / "imagenet", [*train, *val])
    return write_imagenet_c(plain.with_name("imagenet-c"), VAL, [("fog", 2)]) / "fog" / "2"


def test_an_image_of_imagenet_c_that_cannot_be_decoded_is_left_out_by_the_name_of_the_clean_one(foggy):
    name, wnid = list(VAL.items())[3]
    (foggy / wnid / name).write_bytes(b"text")
    embedded = embed(plain_encoder(), bind("datasets", FOG).call()["test/fog/2"])
    assert embedded.left_out == {f"val/{name}": "this is no image file that can be read"}
    assert embedded.ids == tuple(f"val/{other}" for other in VAL if other != name)


def test_a_file_of_imagenet_c_that_is_there_but_cannot_be_opened_is_not_said_to_be_missing(foggy):
    name, wnid = list(VAL.items())[3]
    (foggy / wnid / name).unlink()
    (foggy / wnid / name).mkdir()
    with refuses(str(foggy / wnid / name), "directory") as caught:
        bind("datasets", FOG).call()
    assert "lacks" not in str(caught.value)


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A folder CIFAR-10-C that `corrupt` made of a small CIFAR-10."""
    monkeypatch.setattr(clean_cifar10, "PER_FILE", 20)
    write_cifar10(tmp_path / "data" / "cifar-10-batches-bin", cifar10_images(20))
    return ec.corrupt("cifar10", out=tmp_path / "data" / "CIFAR-10-C", corruptions="contrast")


def test_what_corrupt_made_is_read_as_cifar10c_with_a_warning_that_its_numbers_are_not_those_published(ours, caplog):
    data = bind("datasets", "cifar10c(corruptions=('contrast',))").call()
    made = corrupted(data["test"], "contrast", 4).batch(np.arange(20))
    assert np.array_equal(data["test/contrast/4"].batch(np.arange(20)), made)
    assert caplog.messages == [f"{ours} was made by `eyechart corrupt`: numbers are not those of the published files."]


def test_without_a_manifest_no_warning_says_that_a_folder_was_made_by_corrupt(ours, caplog):
    (ours / "manifest.json").unlink()
    bind("datasets", "cifar10c(corruptions=('contrast',))").call()
    assert caplog.messages == []


# -- corrupted images on disk ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "place"), [("npy", "."), ("folders", "contrast/3/a")])
def test_temporary_files_that_a_kill_left_are_gone_when_the_command_goes_on(tmp_path, layout, place):
    asked = {"out": tmp_path / "out", "severities": 3, "layout": layout}
    ec.corrupt({"test": toy(6)}, corruptions="contrast", **asked)
    left = tmp_path / "out" / place / ".tmp-1-0badc0de-fog.npy"
    left.write_bytes(b"half")
    ec.corrupt({"test": toy(6)}, corruptions=("contrast", "pixelate"), **asked)
    assert [path.name for path in (tmp_path / "out").rglob(".*")] == []


def test_temporary_files_of_a_kill_before_the_manifest_are_gone_too(tmp_path):
    left = tmp_path / "out" / ".tmp-1-0badc0de-labels.npy"
    left.parent.mkdir()
    left.write_bytes(b"half")
    ec.corrupt({"test": toy(6)}, out=tmp_path / "out", corruptions="contrast", severities=3)
    assert not left.exists()


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """Ten photographs, the eighth of which cannot be read, and batches of four."""
    monkeypatch.setattr(corrupting, "_BATCH", 4)
    root = photos(tmp_path / "photos", classes=("cat",))
    names = [f"cat/{number:03d}.png" for number in range(10)]
    (root / names[7]).write_bytes(b"text")
    return {"test": from_files(root, names, np.zeros(10, int), classes=["cat"])}


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_an_image_that_cannot_be_read_stops_corrupt_with_what_leaves_it_out(tmp_path, damaged, layout):
    with refuses("cat/007.png cannot be read: this is no image file", "`eyechart audit`", "`fixes=` leaves them out"):
        ec.corrupt(damaged, out=tmp_path / "out", corruptions="contrast", layout=layout, workers=1)


def test_an_image_that_cannot_be_read_leaves_no_part_of_an_array(tmp_path, damaged):
    with refuses("cat/007.png"):
        ec.corrupt(damaged, out=tmp_path / "out", corruptions="contrast", workers=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ids.txt", "labels.npy", "manifest.json"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["done"] == {}


# -- studies and tasks -----------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """A study in a folder of its own, whose data are ./photos and whose published numbers are numbers.csv."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "numbers.csv").touch()
    text = 'encoders = ["pixels"]\ndata = ["./photos"]\ntasks = ["knn"]\npublished = "numbers.csv"\n'
    (tmp_path / "studies" / "mine.toml").write_text(text)
    return "studies/mine.toml"


def test_the_folder_that_a_study_names_is_that_of_the_current_folder_as_on_the_command_line(tmp_path, study):
    photos(tmp_path / "studies" / "photos", classes=("fox", "owl"))
    photos(tmp_path / "photos", classes=("cat", "dog"))
    (spec,) = read_study(study).data
    assert bind("datasets", spec).call()["test"].classes == ("cat", "dog")


def test_the_published_numbers_that_a_study_names_lie_beside_it_wherever_it_is_read_from(tmp_path, study, monkeypatch):
    named = read_study(study)
    monkeypatch.chdir("/")
    assert named.publication == tmp_path / "studies" / "numbers.csv"


@pytest.mark.parametrize("severities", ["0", "6", "(1, 6)", "(0, 5)", "()"])
def test_severities_of_robustness_that_there_are_not_are_refused_when_the_spec_is_bound(severities):
    with refuses("robustness: severities must be", "1, 2, 3, 4, 5", f"got {severities}"):
        bind("tasks", f"robustness(severities={severities})")


def test_a_version_of_robustness_that_there_is_not_is_refused_when_the_spec_is_bound():
    with refuses("robustness: version must be", "1", "got 2"):
        bind("tasks", "robustness(version=2)")


def test_a_severity_that_there_is_not_stops_a_run_before_anything_is_embedded(forwards, tmp_path):
    with refuses("robustness: severities must be", "got (6,)"):
        ec.run(encoder="pixels", data="digits", task="robustness(severities=(6,))", limit=20, out=tmp_path / "out")
    assert forwards == []
