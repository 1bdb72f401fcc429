"""Corrupted images on disk: the layout of CIFAR-10-C, or PNG files, and nothing made twice."""

import json

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
from eyechart.images.corruptions import corrupt
from samples import photos, refused, refuses, toy, toy_data

SOME = {"corruptions": ("contrast", "gaussian_noise"), "severities": (4, 2)}


def expected(images, name, severity):
    return corrupt(images.batch(np.arange(len(images))), name, severity, profile="cifar-c", keys=images.hashes)


def test_the_layout_is_that_of_cifar10c(tmp_path):
    data = toy_data(12, size=8)
    ec.corrupt(data, out=tmp_path, **SOME)
    for name in SOME["corruptions"]:
        made = np.load(tmp_path / f"{name}.npy")
        assert np.array_equal(made[:12], expected(data["test"], name, 2))
        assert np.array_equal(made[12:], expected(data["test"], name, 4))
    assert np.array_equal(np.load(tmp_path / "labels.npy"), np.tile(data["test"].labels, 2))
    assert (tmp_path / "ids.txt").read_text().split("\n")[:-1] == list(data["test"].ids)
    stated = json.loads((tmp_path / "manifest.json").read_text())
    assert (stated["profile"], stated["severities"], stated["pixels_key"]) == (
        "cifar-c",
        [2, 4],
        data["test"].pixels_key,
    )


def test_png_files_hold_the_same_pixels(tmp_path):
    data = toy_data(12, size=8)
    ec.corrupt(data, out=tmp_path, layout="folders", **SOME)
    test = data["test"]
    for row in (0, 7):
        path = tmp_path / "contrast" / "4" / test.classes[test.labels[row]] / f"{row:06d}.png"
        assert np.array_equal(np.asarray(Image.open(path)), expected(test, "contrast", 4)[row])


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_what_is_complete_is_not_made_again_and_what_is_damaged_is(tmp_path, layout, monkeypatch):
    data = toy_data(12, size=8)
    ec.corrupt(data, out=tmp_path, layout=layout, corruptions=("contrast",))
    made = []
    real = __import__("eyechart.corrupting", fromlist=["corrupted"]).corrupted
    monkeypatch.setattr("eyechart.corrupting.corrupted", lambda *a, **o: made.append(a[1]) or real(*a, **o))
    ec.corrupt(data, out=tmp_path, layout=layout, corruptions=("contrast", "fog"))
    assert set(made) == {"fog"}
    if layout == "npy":
        (tmp_path / "fog.npy").write_bytes(b"damaged")
        ec.corrupt(data, out=tmp_path, corruptions=("contrast", "fog"))
        assert np.array_equal(np.load(tmp_path / "fog.npy")[:12], expected(data["test"], "fog", 1))


def test_a_folder_with_other_images_is_refused(tmp_path):
    ec.corrupt(toy_data(12, size=8), out=tmp_path, **SOME)
    with refuses("holds images of another content"):
        ec.corrupt(toy_data(10, size=8), out=tmp_path, **SOME)
    with refuses("holds images of another severities: [2, 4], not [1]"):
        ec.corrupt(toy_data(12, size=8), out=tmp_path, corruptions=("contrast",), severities=(1,))


def test_images_of_several_sizes_are_no_array_but_files(tmp_path):
    photos(tmp_path / "p", n=2)
    Image.new("RGB", (9, 5)).save(tmp_path / "p" / "cat" / "odd.png")
    both = {"test": ec.from_files(tmp_path / "p", ["cat/000.png", "cat/odd.png"], np.array([0, 0]), classes=["cat"])}
    with refuses("several sizes (8 x 8 and 9 x 5)", "layout folders"):
        ec.corrupt(both, out=tmp_path / "a", corruptions=("contrast",))
    ec.corrupt(both, out=tmp_path / "b", corruptions=("contrast",), layout="folders")
    with Image.open(tmp_path / "b" / "contrast" / "1" / "cat" / "000001.png") as made:
        assert made.size == (9, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"severities": (6,)}, ("severity must be 1, 2, 3, 4 or 5; got 6",)),
        ({"severities": ()}, ("severities must be one or more of 1, 2, 3, 4, 5",)),
        ({"corruptions": ("fogg",)}, ("no corruption 'fogg'",)),
        ({"profile": "cifar"}, ("profile must be one of",)),
        ({"split": "testt"}, ("there is no split 'testt'",)),
        ({"layout": "zip"}, ("layout must be npy or folders",)),
        ({"limit": 0}, ("limit must be at least 1",)),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(tmp_path, options, words):
    with refuses(*words):
        ec.corrupt({"test": toy(6)}, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_command_says_where_it_wrote(eyechart, tmp_path):
    words = ["--corruption", "fog", "--severity", "3", "--limit", "10", "--out", str(tmp_path / "c")]
    code, out, _ = eyechart("corrupt", "--data", "digits", *words)
    assert (code, out.strip()) == (0, f"written to {tmp_path / 'c'}")
    assert np.load(tmp_path / "c" / "fog.npy").shape == (10, 32, 32, 3)
    refused(eyechart("corrupt", "--data", "digits", "--out", "x", "--severity", "6"), "severity must be")


@pytest.mark.parametrize("inside", ["", "corrupted", "a/b"])
def test_nothing_is_written_where_the_images_are_read_from(tmp_path, inside):
    root = photos(tmp_path / "photos", n=6)
    before = sorted(root.rglob("*"))
    with refuses("whose images are corrupted; name a folder elsewhere"):
        ec.corrupt(str(root), out=root / inside, corruptions=["fog"])
    assert sorted(root.rglob("*")) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with refuses("holds other files, such as notes.txt"):
        ec.corrupt("digits", out=tmp_path / "out", corruptions=["fog"], severities=[1], limit=3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_one_corruption_and_one_severity_need_not_be_in_a_list(tmp_path):
    ec.corrupt(toy_data(6), out=tmp_path, corruptions="fog", severities=3)
    assert len(np.load(tmp_path / "fog.npy")) == 6


def test_a_folder_that_was_killed_before_its_manifest_is_begun_again(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    asked = {"out": tmp_path / "out", "corruptions": "fog", "severities": 3}
    with monkeypatch.context() as patch:
        patch.setattr("eyechart.corrupting.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            ec.corrupt(toy_data(6), **asked)
    assert (tmp_path / "out" / "ids.txt").exists()
    ec.corrupt(toy_data(6), **asked)
    assert len(np.load(tmp_path / "out" / "fog.npy")) == 6
