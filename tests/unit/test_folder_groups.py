"""`groups="auto"`: the same picture is on one side of a split that is drawn."""

import json
import logging
import shutil

import numpy as np
import pytest

from eyechart import settings
from eyechart.datasets.folder import folder
from eyechart.registry import bind
from photographs import cropped, photograph, reencoded
from samples import encoded, output_of


def burst(pixels, number):
    """One of several versions of a picture."""
    cuts = [(0.0, 0.05, 0.05, 0.0), (0.06, 0.0, 0.0, 0.04), (0.03, 0.03, 0.03, 0.03)]
    return reencoded(cropped(pixels, *cuts[number]), 85)


def bursts_in(root, *, classes=("cat", "dog"), n=8, extra=3, split=""):
    """Write n photographs of each class, every second one with some more of its burst."""
    for label, name in enumerate(classes):
        place = root / split / name
        place.mkdir(parents=True, exist_ok=True)
        for number in range(n):
            pixels = photograph(100 * label + number)
            (place / f"{number}.png").write_bytes(encoded(pixels, "PNG"))
            for version in range(extra if number % 2 == 0 else 0):
                (place / f"{number} burst {version}.png").write_bytes(encoded(burst(pixels, version), "PNG"))
    return root


def pictures_of(images):
    return {name.partition(" ")[0].removesuffix(".png") for name in images.ids}


@pytest.mark.parametrize("seed", range(3))
def test_a_burst_is_on_one_side(tmp_path, seed):
    root = str(bursts_in(tmp_path / "photos"))
    grouped, plain = folder(root, groups="auto", seed=seed), folder(root, seed=seed)
    sides = [pictures_of(images) for images in grouped.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 16
    assert sum(len(pictures_of(images)) for images in plain.values()) > 16  # or the test would prove nothing
    assert sorted(name for images in grouped.values() for name in images.ids) == sorted(
        name for images in plain.values() for name in images.ids
    )


def test_a_group_is_named_after_its_first_image_and_every_picture_has_one(tmp_path):
    data = folder(str(bursts_in(tmp_path / "photos", n=6, extra=2)), groups="auto")
    named = {name: group for images in data.values() for name, group in zip(images.ids, images.groups, strict=True)}
    assert named["cat/0 burst 1.png"] == named["cat/0.png"] == "cat/0 burst 0.png"
    assert named["dog/1.png"] == "dog/1.png"
    assert len(set(named.values())) == 12


def test_it_is_said_how_many_groups_there_are(tmp_path, caplog):
    root = bursts_in(tmp_path / "photos", n=6, extra=2)
    with caplog.at_level(logging.INFO, "eyechart"):
        folder(str(root), groups="auto")
    assert "6 groups of near-duplicates hold 18 of 24 images, the largest 3" in caplog.text
    single = bursts_in(tmp_path / "single", n=6, extra=0)
    with caplog.at_level(logging.INFO, "eyechart"):
        folder(str(single), groups="auto")
    assert "no near-duplicates among 12 images" in caplog.text


def test_nothing_is_looked_at_unless_it_is_asked_for(tmp_path, monkeypatch):
    from eyechart.images import views

    root = str(bursts_in(tmp_path / "photos", n=4))
    monkeypatch.setattr(views, "decode", None)
    folder(root)
    assert not (settings.active().cache_dir / "copies").exists()


def test_a_second_look_decodes_nothing_even_at_another_draw(tmp_path, monkeypatch):
    from eyechart.images import views

    root = str(bursts_in(tmp_path / "photos", n=4))
    folder(root, groups="auto")
    monkeypatch.setattr(views, "decode", None)
    folder(root, groups="auto", seed=1, test=0.4)


def test_a_second_look_imports_no_torch(tmp_path):
    root = str(bursts_in(tmp_path / "photos", n=4))
    folder(root, groups="auto")
    code = "import sys; from eyechart.datasets.folder import folder; folder(sys.argv[1], groups='auto'); "
    assert output_of(code + "print({'torch', 'cv2'} & set(sys.modules))", root) == "set()"


def test_groups_that_are_stated_are_kept_and_tied_by_pictures(tmp_path):
    root = bursts_in(tmp_path / "photos", n=8, extra=1)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    stated = {"cat/0.png": "trip", "cat/1.png": "trip", "dog/0 burst 0.png": "garden", "dog/3.png": "garden"}
    stated |= {"cat/2.png": "zoo", "cat/2 burst 0.png": "park", "dog/5.png": "zoo"}
    lines = [f"{name},{name.split('/')[0]},{stated.get(name, '')}" for name in names]
    (root / "metadata.csv").write_text("\n".join(["path,label,group", *lines]) + "\n")
    data = folder(str(root), groups="auto")
    named = {name: group for images in data.values() for name, group in zip(images.ids, images.groups, strict=True)}
    assert {name for name, group in named.items() if group == "trip"} == {"cat/0.png", "cat/0 burst 0.png", "cat/1.png"}
    assert {name for name, group in named.items() if group == "garden"} == {
        "dog/0.png",
        "dog/0 burst 0.png",
        "dog/3.png",
    }
    assert named["cat/2.png"] == named["cat/2 burst 0.png"] == named["dog/5.png"] == "park+zoo"
    assert named["cat/4.png"] == "cat/4 burst 0.png"
    sides = {name: split for split, images in data.items() for name in images.ids}
    assert all(len({sides[name] for name in named if named[name] == group}) == 1 for group in named.values())


def test_splits_that_are_stated_stay_and_a_picture_in_two_of_them_is_named(tmp_path, caplog):
    root = bursts_in(tmp_path / "photos", n=6, extra=2, split="train")
    bursts_in(root, n=4, extra=0, split="test")
    before = {split: images.ids for split, images in folder(str(root)).items()}
    data = folder(str(root), groups="auto")
    assert data["test"].ids == before["test"]
    assert "8 groups lie in more than one of the splits the folder states (test, train)" in caplog.text
    assert len(pictures_of(data["train"]) & pictures_of(data["val"])) == 0


def test_the_draw_needs_no_new_embeddings(tmp_path):
    root = str(bursts_in(tmp_path / "photos", n=6))
    plain, grouped = folder(root), folder(root, groups="auto")
    assert grouped["train"].base.pixels_key == plain["train"].base.pixels_key
    assert grouped["train"].key != plain["train"].key


def test_images_that_cannot_be_read_are_in_groups_of_their_own(tmp_path):
    root = bursts_in(tmp_path / "photos", n=6, extra=0)
    (root / "cat" / "x.png").write_bytes(b"no image")
    data = folder(str(root), groups="auto")
    named = {name: group for images in data.values() for name, group in zip(images.ids, images.groups, strict=True)}
    assert named["cat/x.png"] == "cat/x.png"


def test_moving_the_folder_changes_no_key(tmp_path):
    root = bursts_in(tmp_path / "photos", n=4)
    before = {split: images.key for split, images in folder(str(root), groups="auto").items()}
    shutil.move(root, tmp_path / "elsewhere")
    assert {s: images.key for s, images in folder(str(tmp_path / "elsewhere"), groups="auto").items()} == before


def test_the_option_can_be_written_in_a_spec(tmp_path):
    root = bursts_in(tmp_path / "photos", n=4, extra=1)
    bound = bind("datasets", f'folder:{root}(groups="auto")')
    assert bound.label == f'folder:{root}(groups="auto")'
    assert np.all([images.groups is not None for images in bound.call().values()])
    (memo,) = (settings.active().cache_dir / "copies").iterdir()
    assert len(json.loads(memo.read_text())["links"]) == 4
