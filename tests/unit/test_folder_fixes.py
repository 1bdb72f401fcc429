"""`fixes=`: what a CSV says is done to the images, and never to the files."""

import logging
import os

import numpy as np
import pytest

from eyechart.datasets.folder import folder
from eyechart.embedding.embed import embed
from eyechart.registry import bind
from samples import encoded, photos, picture, plain_encoder, refuses, write_images


@pytest.fixture
def root(tmp_path):
    return photos(tmp_path / "photos", classes=("ant", "bee", "cat"), n=10)


@pytest.fixture
def stated(tmp_path):
    """A folder that states its splits."""
    names = [f"{s}/{c}/{i}.png" for s, n in (("train", 6), ("val", 3), ("test", 4)) for c in "ab" for i in range(n)]
    return write_images(tmp_path / "stated", names)


@pytest.fixture
def fixes(tmp_path):
    """Write a file of fixes and give its path."""

    def write(*lines, header="path,action"):
        path = tmp_path / "fixes.csv"
        path.write_bytes("\n".join([header, *lines, ""]).encode("utf-8", "surrogateescape"))
        return str(path)

    return write


def where(data):
    """Split and class of each image."""
    return {
        name: (split, images.classes[label])
        for split, images in data.items()
        for name, label in zip(images.ids, images.labels, strict=True)
    }


def changed(before, after):
    """What is different: id -> (then, now), None where an image is not there."""
    one, other = where(before), where(after)
    return {name: (one.get(name), other.get(name)) for name in one | other if one.get(name) != other.get(name)}


def test_an_image_is_dropped_and_all_others_stay_where_they_were(root, fixes):
    before = folder(str(root))
    after = folder(str(root), fixes=fixes("ant/003.png,drop", "cat/007.png,drop"))
    then = where(before)
    assert changed(before, after) == {name: (then[name], None) for name in ("ant/003.png", "cat/007.png")}


def test_a_label_is_corrected_and_all_others_stay_where_they_were(root, fixes):
    before = folder(str(root))
    after = folder(str(root), fixes=fixes("ant/003.png,label=cat", "bee/001.png, label = ant "))
    then = where(before)
    assert changed(before, after) == {
        "ant/003.png": (then["ant/003.png"], (then["ant/003.png"][0], "cat")),
        "bee/001.png": (then["bee/001.png"], (then["bee/001.png"][0], "ant")),
    }


def test_dropping_and_relabeling_in_one_split_do_not_get_mixed_up(root, fixes):
    then = where(folder(str(root)))
    first, _, third = [name for name, (split, _) in then.items() if split == "train"][2:5]
    after = folder(str(root), fixes=fixes(f"{first},drop", f"{third},label=bee"))
    assert where(after) == {n: w for n, w in then.items() if n != first} | {third: ("train", "bee")}


@pytest.mark.parametrize("spelt", ["test", "Test", " test"])
def test_an_image_is_moved_to_another_split_that_was_drawn(root, fixes, spelt):
    before = folder(str(root))
    moved = [name for name, (split, _) in where(before).items() if split == "train"][:3]
    after = folder(str(root), fixes=fixes(*(f"{name},split={spelt}" for name in moved)))
    assert changed(before, after) == {name: (where(before)[name], ("test", where(before)[name][1])) for name in moved}


def test_an_image_can_be_moved_and_relabeled(root, fixes):
    before = folder(str(root))
    (name, *_) = [name for name, (split, label) in where(before).items() if (split, label) == ("train", "ant")]
    after = folder(str(root), fixes=fixes(f"{name},split=valid", f"{name},label=bee"))
    assert changed(before, after) == {name: (("train", "ant"), ("val", "bee"))}


def test_dropping_comes_before_labels_and_splits(root, fixes):
    after = folder(
        str(root), fixes=fixes("ant/003.png,label=cat", "ant/003.png,drop", "ant/003.png,drop", "ant/003.png,split=val")
    )
    assert "ant/003.png" not in where(after)


@pytest.mark.parametrize("action", ["", "keep", " keep ", '"  "'])
def test_nothing_and_keep_do_nothing(root, fixes, action):
    before = folder(str(root))
    assert changed(before, folder(str(root), fixes=fixes(f"ant/003.png,{action}", "gone.png,"))) == {}


def test_pixels_and_groups_belong_to_the_ids_afterwards(stated, fixes):
    from PIL import Image

    lines = ["train/a/1.png,split=test", "test/b/2.png,split=train", "val/a/0.png,drop", "train/b/3.png,label=a"]
    for images in folder(str(stated), groups="auto", fixes=fixes(*lines)).values():
        for row, name in enumerate(images.ids):
            assert np.array_equal(images.load(row), np.asarray(Image.open(stated / name)))
            assert images.groups[row] == name


def test_images_move_between_splits_that_are_stated(stated, fixes):
    before = folder(str(stated))
    lines = ["train/a/1.png,split=test", "test/b/2.png,split=train", "train/b/0.png,split=val"]
    after = folder(str(stated), fixes=fixes(*lines))
    assert changed(before, after) == {
        "train/a/1.png": (("train", "a"), ("test", "a")),
        "test/b/2.png": (("test", "b"), ("train", "b")),
        "train/b/0.png": (("train", "b"), ("val", "b")),
    }


def test_an_image_moves_from_a_split_that_is_stated_to_one_that_was_drawn(tmp_path, fixes):
    from PIL import Image

    names = [f"{s}/{c}/{i}.png" for s, n in (("train", 8), ("test", 4)) for c in "ab" for i in range(n)]
    root = write_images(tmp_path / "half", names)
    data = folder(str(root), fixes=fixes("test/a/1.png,split=val"))
    assert where(data)["test/a/1.png"] == ("val", "a")
    for images in data.values():
        for row, name in enumerate(images.ids):
            assert np.array_equal(images.load(row), np.asarray(Image.open(root / name)))


LINES = {
    "drawn": ["ant/003.png,drop", "bee/001.png,label=cat", "cat/000.png,split=test", "cat/001.png,split=val"],
    "stated": ["train/a/0.png,drop", "train/b/1.png,label=a", "test/a/0.png,drop"],
}


@pytest.mark.parametrize("kind", LINES)
def test_nothing_is_embedded_again(root, stated, fixes, forwards, kind):
    path = str({"drawn": root, "stated": stated}[kind])
    encoder = plain_encoder(key="plain-0123456789abcdef")
    for images in folder(path).values():
        embed(encoder, images)
    done = len(forwards)
    assert done
    for split, images in folder(path, fixes=fixes(*LINES[kind])).items():
        z = embed(encoder, images)
        assert (z.ids, z.classes) == (images.ids, images.classes)
        assert np.array_equal(z.y, images.labels), split
    assert len(forwards) == done


def test_only_the_receiving_split_is_embedded_again(stated, fixes, forwards):
    encoder = plain_encoder(key="plain-0123456789abcdef")
    for images in folder(str(stated)).values():
        embed(encoder, images)
    done = sum(forwards)
    data = folder(str(stated), fixes=fixes("train/a/0.png,split=test"))
    for images in data.values():
        embed(encoder, images)
    assert sum(forwards) - done == len(data["test"]) == 9


def test_a_drawn_split_that_is_sent_an_image_of_another_source_is_embedded_again(tmp_path, fixes, forwards):
    names = [f"{s}/{c}/{i}.png" for s, n in (("train", 8), ("test", 4)) for c in "ab" for i in range(n)]
    root = str(write_images(tmp_path / "half", names))
    encoder = plain_encoder(key="plain-0123456789abcdef")
    for images in folder(root).values():
        embed(encoder, images)
    done = sum(forwards)
    within = folder(root)["train"].ids[0]  # from train to val, which is drawn from it: the same source
    for images in folder(root, fixes=fixes(f"{within},split=val")).values():
        embed(encoder, images)
    assert sum(forwards) == done
    data = folder(root, fixes=fixes("test/a/0.png,split=val"))
    for images in data.values():
        embed(encoder, images)
    assert sum(forwards) - done == len(data["val"]) == 5


def test_the_rows_of_a_receiving_split_are_those_of_its_ids(stated, fixes):
    encoder = plain_encoder(key="plain-0123456789abcdef")
    known = {name: row for images in folder(str(stated)).values() for name, row in rows_of(encoder, images)}
    data = folder(str(stated), fixes=fixes("train/a/0.png,split=test", "train/b/0.png,split=test", "test/a/1.png,drop"))
    for images in data.values():
        for name, row in rows_of(encoder, images):
            assert np.allclose(row, known[name], atol=1e-6)


def rows_of(encoder, images):
    z = embed(encoder, images)
    return zip(z.ids, z.x, strict=True)


def test_no_file_is_touched(root, fixes):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.png")}
    folder(str(root), fixes=fixes(*LINES["drawn"]))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.png")} == before


def test_what_is_fixed_has_other_keys(root, fixes):
    before = {split: images.key for split, images in folder(str(root)).items()}
    moved = where(folder(str(root)))["ant/003.png"][0]
    after = {s: images.key for s, images in folder(str(root), fixes=fixes("ant/003.png,label=bee")).items()}
    assert {split for split in before if before[split] != after[split]} == {moved}


def test_a_class_without_images_is_no_class_any_longer(root, fixes, caplog):
    with caplog.at_level(logging.INFO, "eyechart"):
        data = folder(str(root), fixes=fixes(*(f"bee/{number:03d}.png,label=cat" for number in range(10))))
    assert {images.classes for images in data.values()} == {("ant", "cat")}
    assert sum((images.labels == 1).sum() for images in data.values()) == 20
    assert {label for _, label in where(data).values()} == {"ant", "cat"}
    assert "no image of bee" in caplog.text


def test_classes_that_only_train_lost_are_named(root, fixes, caplog):
    taught = [name for name, place in where(folder(str(root))).items() if place == ("train", "bee")]
    folder(str(root), fixes=fixes(*(f"{name},drop" for name in taught)))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(": ")[2] for line in said] == [
        f"{split} has classes that train has not, so they cannot be learnt: bee" for split in ("val", "test")
    ]


def test_it_is_said_what_was_done(root, fixes, caplog):
    with caplog.at_level(logging.INFO, "eyechart"):
        folder(str(root), fixes=fixes(*LINES["drawn"], "bee/005.png,drop", "bee/005.png,label=cat"))
    assert "2 images dropped, 1 labels changed, 2 images moved" in caplog.text


def test_more_columns_quotes_and_a_byte_order_mark_are_read(root, fixes, tmp_path):
    (root / "ant" / "a, b.png").write_bytes(encoded(picture(77), "PNG"))
    path = tmp_path / "from a spreadsheet.csv"
    text = 'action,problem,path\r\ndrop,"two\nlines","ant/a, b.png"\r\ndrop,x,bee/001.png\r\n'
    path.write_bytes(text.encode("utf-8-sig"))
    names = where(folder(str(root), fixes=str(path)))
    assert not {"ant/a, b.png", "bee/001.png"} & set(names)
    assert len(names) == 29


def test_names_that_are_no_utf8_can_be_fixed(root, fixes):
    name = os.fsdecode(b"cat/caf\xe9.png")
    (root / name).write_bytes(encoded(picture(50), "PNG"))
    assert name in where(folder(str(root)))
    assert name not in where(folder(str(root), fixes=fixes(f"{name},drop")))


def test_a_spec_names_the_file_and_home_is_found(root, fixes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fixes("ant/003.png,drop")
    data = bind("datasets", f'{root}(fixes="~/fixes.csv")').call()
    assert "ant/003.png" not in where(data)


REFUSED = [
    (["ant/099.png,drop"], ["line 2", "no image ant/099.png in", "did you mean ant/009.png?"]),
    (["ant/001.png,keep", "zzz,drop"], ["line 3", "no image zzz in", "relative"]),
    (["ant/001.png,remove"], ["line 2", "action must be drop, label=<class>, split=<split>, keep", "'remove'"]),
    (["ant/001.png,label="], ["line 2", "action must be", "'label='"]),
    (["ant/001.png,label"], ["line 2", "action must be"]),
    (["ant/001.png,Drop"], ["line 2", "action must be", "'Drop'"]),
    (["ant/001.png,label=aunt"], ["line 2", "no class is called 'aunt'", "Did you mean ant?", "ant, bee, cat"]),
    (["ant/001.png,split=training"], ["line 2", "split must be one of train, val, test", "'training'"]),
    (["ant/001.png,split=query"], ["line 2", "cannot go to query", "train, val, test"]),
    (["ant/001.png,label=bee", "ant/001.png,label=cat"], ["line 3", "contradicts line 2, which says 'label=bee'"]),
    (["ant/001.png,split=val", "ant/001.png,split=test"], ["line 3", "contradicts line 2, which says 'split=val'"]),
    (["ant/001.png,keep", "ant/001.png,drop"], ["line 3", "'drop' contradicts line 2, which says 'keep'"]),
    (["ant/001.png,drop", "ant/001.png,keep"], ["line 3", "'keep' contradicts line 2, which says 'drop'"]),
    (["ant/001.png,keep", "ant/001.png,label=bee"], ["line 3", "contradicts line 2"]),
]
# What is wrong is not said in the line that names the image first.
LATER = [
    (["split=train", "label=bee", "label=cat"], ["line 4", "'label=cat' contradicts line 3, which says 'label=bee'"]),
    (["label=bee", "split=val", "split=test"], ["line 4", "contradicts line 3, which says 'split=val'"]),
    (["label=bee", "drop", "keep"], ["line 4", "contradicts line 2, which says 'label=bee'"]),
    (["split=train", "label=aunt"], ["line 3", "no class is called 'aunt'"]),
    (["label=bee", "split=query"], ["line 3", "cannot go to query"]),
]


@pytest.mark.parametrize(("lines", "words"), REFUSED)
def test_what_cannot_be_done_is_refused_with_the_line(root, fixes, lines, words):
    with refuses("fixes.csv, ", *words):
        folder(str(root), fixes=fixes(*lines))


@pytest.mark.parametrize(("actions", "words"), LATER)
def test_the_line_is_that_of_the_action_and_not_of_the_first_one_on_the_image(root, fixes, actions, words):
    with refuses("fixes.csv, ", *words):
        folder(str(root), fixes=fixes(*(f"ant/001.png,{action}" for action in actions)))


HEADERS = {
    "path,what": "it has path,what.",
    "name,action": "it has name,action.",
    "path;action": "Separate the columns by commas, not by ';'",
    "path;problem;action": "by commas, not by ';'",
    "path\taction": "by commas, not by '\\t'",
    "Path,Action": "in lower case and without spaces",
    "path, action": "in lower case and without spaces",
}


@pytest.mark.parametrize("header", HEADERS)
def test_other_columns_are_refused_with_a_hint(root, fixes, header):
    with refuses("must have the columns path and action", HEADERS[header]):
        folder(str(root), fixes=fixes("a,b", header=header))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['"ant/000.png,drop', "ant/001.png,drop"], ["line 2", "does not end with one", "unexpected end of data"]),
        (["bee/000.png,drop", '"ant/000.png,drop', '"ant/001.png",drop'], ["line 3", "does not end with one"]),
        (['"ant/000.png,drop', 'ant/001.png",drop'], ["line 2", "no image ant/000.png,drop\\nant/001.png in"]),
        (['ant/000.png,"drop" it'], ["line 2", "does not end with one"]),
        (["ant/000.png,drop", "ant/001.png;drop"], ["line 3", "row ant/001.png;drop ends before the column action"]),
        (["ant/000.png,drop", "ant, 1.png,,drop"], ["line 3", "'drop' is in no column", "a comma in quotes"]),
    ],
)
def test_a_row_that_would_be_lost_is_refused_with_the_line(root, fixes, lines, words):
    with refuses("fixes.csv, ", *words):
        folder(str(root), fixes=fixes(*lines))


def test_a_column_that_is_there_twice_is_refused(root, fixes):
    with refuses("fixes.csv has 2 columns called 'action'"):
        folder(str(root), fixes=fixes("ant/000.png,drop,", header="path,action,action"))


def test_columns_and_cells_without_name_and_content_are_none(root, fixes):
    assert "ant/000.png" not in where(folder(str(root), fixes=fixes("ant/000.png,drop,,,", header="path,action,,")))


def test_names_with_line_breaks_of_any_kind_can_be_fixed(root, fixes):
    names = ["ant/a\rb.png", "ant/a\nb.png", "ant/a\r\nb.png"]
    for number, name in enumerate(names):
        (root / name).write_bytes(encoded(picture(60 + number), "PNG"))
    after = where(folder(str(root), fixes=fixes(*(f'"{name}",drop' for name in names))))
    assert len(after) == 30
    with refuses("no image ant/a\\rc.png in"):
        folder(str(root), fixes=fixes('"ant/a\rc.png",drop'))


def test_a_file_that_is_not_there_is_refused(root, tmp_path):
    with refuses("there is no file", "nothing.csv", "eyechart audit --data PATH --write"):
        folder(str(root), fixes=str(tmp_path / "nothing.csv"))
    with refuses("cannot be read as a CSV"):
        folder(str(root), fixes=str(tmp_path))


def test_an_emptied_split_is_refused(stated, fixes):
    with refuses("leaves no image in val"):
        folder(str(stated), fixes=fixes(*(f"val/{c}/{i}.png,drop" for c in "ab" for i in range(3))))


def test_a_single_class_that_is_left_is_refused(stated, fixes):
    names = [f"{s}/b/{i}.png" for s, n in (("train", 6), ("val", 3), ("test", 4)) for i in range(n)]
    with refuses("leaves only images of 'a'", "two classes"):
        folder(str(stated), fixes=fixes(*(f"{name},drop" for name in names)))
