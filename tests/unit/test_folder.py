import logging
import os
import shutil

import numpy as np
import pytest

from eyechart.datasets.digits import digits
from eyechart.datasets.folder import folder
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import encoded, photos, picture, refuses, write_images


def counts(data):
    return {split: len(images) for split, images in data.items()}


def ids_of(data):
    return sorted(name for images in data.values() for name in images.ids)


def csv(root, *lines):
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_one_folder_for_each_class(tmp_path):
    root = photos(tmp_path / "photos", classes=("dog", "cat", "Ant"), n=10)
    data = bind("datasets", str(root)).call()
    assert counts(data) == {"train": 18, "val": 6, "test": 6}
    assert len(set(ids_of(data))) == 30
    for images in data.values():
        assert images.classes == ("Ant", "cat", "dog")
        assert [images.classes[label] for label in images.labels] == [name.split("/")[0] for name in images.ids]
        assert np.bincount(images.labels).tolist() == [len(images) // 3] * 3
        assert images.groups is None


def test_the_pixels_belong_to_the_ids(tmp_path):
    root = photos(tmp_path / "photos", n=6)
    from PIL import Image

    for images in folder(str(root)).values():
        for row, name in enumerate(images.ids):
            assert np.array_equal(images.load(row), np.asarray(Image.open(root / name)))


def test_deeper_folders_only_hold_files(tmp_path):
    names = [f"{c}/{camera}/{day}/{i}.png" for c in "ab" for camera in "xy" for day in "12" for i in range(3)]
    data = folder(str(write_images(tmp_path / "photos", names)))
    assert ids_of(data) == sorted(names)
    assert data["train"].classes == ("a", "b")


def test_other_files_and_hidden_ones_are_no_images(tmp_path):
    root = photos(tmp_path / "photos", n=5)
    for name in ("notes.txt", "cat/Thumbs.db", "cat/._001.png", "dog/.hidden.jpg", "cat/labels.csv"):
        (root / name).touch()
    assert len(ids_of(folder(str(root)))) == 10


def test_endings_in_capitals_are_images(tmp_path):
    names = [f"{c}/{i}{suffix}" for c in "ab" for i in range(4) for suffix in (".JPG", ".Png", ".jpeg")]
    assert len(ids_of(folder(str(write_images(tmp_path / "photos", names))))) == 24


def test_folders_named_after_splits_are_the_splits(tmp_path):
    names = [f"{s}/{c}/{i}.png" for s, n in (("train", 6), ("valid", 3), ("test", 4)) for c in "ab" for i in range(n)]
    data = folder(str(write_images(tmp_path / "photos", names)))
    assert counts(data) == {"train": 12, "val": 6, "test": 8}
    assert all(name.startswith("valid/") for name in data["val"].ids)
    assert all(images.rows is None for images in data.values())


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_has_three_names(tmp_path, name):
    names = [f"{s}/{c}/{i}.png" for s in ("train", "test", name) for c in "ab" for i in range(3)]
    assert set(folder(str(write_images(tmp_path / "photos", names)))) == {"train", "val", "test"}


def test_query_and_gallery_need_no_train(tmp_path):
    names = [f"{s}/{c}/{i}.png" for s in ("query", "gallery") for c in "ab" for i in range(3)]
    assert counts(folder(str(write_images(tmp_path / "photos", names)))) == {"gallery": 6, "query": 6}


def test_train_and_test_get_a_val_drawn_from_train(tmp_path):
    names = [f"{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in range(10)]
    data = folder(str(write_images(tmp_path / "photos", names)))
    assert counts(data) == {"train": 16, "val": 4, "test": 20}
    assert all(name.startswith("train/") for name in data["val"].ids)
    assert not set(data["val"].ids) & set(data["train"].ids)


def test_train_alone_gets_val_and_test(tmp_path):
    names = [f"train/{c}/{i}.png" for c in "ab" for i in range(10)]
    assert counts(folder(str(write_images(tmp_path / "photos", names)))) == {"train": 12, "val": 4, "test": 4}


def test_val_without_test_becomes_the_test_and_that_is_said(tmp_path, caplog):
    names = [f"{s}/{c}/{i}.png" for s in ("train", "val") for c in "ab" for i in range(10)]
    with caplog.at_level(logging.INFO, "eyechart"):
        data = folder(str(write_images(tmp_path / "photos", names)))
    assert counts(data) == {"train": 16, "val": 4, "test": 20}
    assert all(name.startswith("val/") for name in data["test"].ids)
    assert all(name.startswith("train/") for name in data["val"].ids)
    assert "val is used as test, and a new val is drawn from train" in caplog.text


def test_the_top_folder_can_be_the_group(tmp_path):
    names = [
        f"{d}/{c}/{i}.png" for d in ("art", "photo", "sketch", "toy", "clip") for c in ("cat", "dog") for i in range(4)
    ]
    data = folder(str(write_images(tmp_path / "photos", names)), groups="top")
    assert data["train"].classes == ("cat", "dog")
    assert counts(data) == {"train": 24, "val": 8, "test": 8}
    groups = [set(images.groups) for images in data.values()]
    assert set.union(*groups) == {"art", "photo", "sketch", "toy", "clip"}
    assert sum(map(len, groups)) == 5
    assert all(name.startswith(group) for name, group in zip(data["val"].ids, data["val"].groups, strict=True))


def test_groups_need_a_class_below_them(tmp_path):
    with refuses("000.png", "<group>/<class>/*"):
        folder(str(photos(tmp_path / "photos")), groups="top")


def test_the_seed_and_the_shares_are_what_splits_are_drawn_with(tmp_path):
    root = str(photos(tmp_path / "photos", n=10))
    assert folder(root)["test"].ids == folder(root)["test"].ids
    assert folder(root)["test"].ids != folder(root, seed=1)["test"].ids
    assert counts(folder(root, val=0.1, test=0.4)) == {"train": 10, "val": 2, "test": 8}


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (1.0, 0.1), (-0.1, 0.2), (0.7, 0.6)])
def test_shares_that_leave_nothing_are_refused(tmp_path, val, test):
    with refuses("val and test must be shares above 0", str(val), str(test)):
        folder(str(photos(tmp_path / "photos", n=4)), val=val, test=test)


def test_exact_duplicates_are_on_one_side(tmp_path):
    root = photos(tmp_path / "photos", n=12)
    for c in ("cat", "dog"):
        for i in range(12):
            shutil.copy(root / c / f"{i:03d}.png", root / c / f"copy of {i:03d}.png")
    data = folder(str(root))
    assert len(ids_of(data)) == 48
    contents = [{row.tobytes() for row in images.hashes} for images in data.values()]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 24


def test_moving_the_folder_changes_no_key(tmp_path):
    root = photos(tmp_path / "photos", n=6)
    before = {split: images.key for split, images in folder(str(root)).items()}
    root.rename(tmp_path / "elsewhere")
    assert {split: images.key for split, images in folder(str(tmp_path / "elsewhere")).items()} == before


def test_splits_are_rows_of_one_source(tmp_path):
    data = folder(str(photos(tmp_path / "photos", n=6)))
    assert len({id(images.base) for images in data.values()}) == 1
    assert len(data["train"].base) == 12


def test_a_changed_pixel_moves_no_image_into_another_split(tmp_path):
    root = photos(tmp_path / "photos", n=20)
    before = {split: images.ids for split, images in folder(str(root)).items()}
    for number, name in enumerate(("cat/003.png", "dog/011.png")):
        (root / name).write_bytes(encoded(picture(900 + number), "PNG"))
    assert {split: images.ids for split, images in folder(str(root)).items()} == before


def test_correcting_a_label_or_renaming_a_class_keeps_the_pixels_of_the_source(tmp_path):
    root = photos(tmp_path / "photos", classes=("ant", "bee", "cat"), n=6)
    before = folder(str(root))["train"].base
    (root / "ant" / "002.png").rename(root / "cat" / "moved.png")
    (root / "bee").rename(root / "zebra")
    data = folder(str(root))
    assert data["train"].base.pixels_key == before.pixels_key
    assert data["train"].base.key != before.key
    assert data["train"].classes == ("ant", "cat", "zebra")


def test_names_that_are_no_utf8_are_images_too(tmp_path):
    root = photos(tmp_path / "photos", n=5)
    name = os.fsdecode(b"cat/caf\xe9.png")
    (root / name).write_bytes(encoded(picture(50), "PNG"))
    assert name in ids_of(folder(str(root)))


CSV_ROWS = [f"{c}{i}.png,{c}" for c in "ab" for i in range(10)]


@pytest.fixture
def flat(tmp_path):
    return write_images(tmp_path / "photos", [row.split(",")[0] for row in CSV_ROWS])


def test_a_csv_names_paths_and_labels(flat):
    data = folder(str(csv(flat, "path,label", *CSV_ROWS)))
    assert counts(data) == {"train": 12, "val": 4, "test": 4}
    assert data["train"].classes == ("a", "b")
    assert all(name[0] == data["train"].classes[label] for name, label in zip(*_ids_labels(data["train"]), strict=True))


def _ids_labels(images):
    return images.ids, images.labels


def test_a_csv_can_leave_images_out_and_have_more_columns(flat):
    data = folder(str(csv(flat, "label,notes,path", *(f'{r[0]},"x, y",{r.split(",")[0]}' for r in CSV_ROWS[:18]))))
    assert len(ids_of(data)) == 18


def test_columns_without_a_name_do_no_harm(flat):
    """A table may have been written with the numbers of its rows, or with a comma too many in each."""
    lines = [",path,label,,", *(f"{number},{row},," for number, row in enumerate(CSV_ROWS))]
    assert len(ids_of(folder(str(csv(flat, *lines))))) == 20


def test_a_csv_from_a_spreadsheet_with_a_byte_order_mark_is_read(flat):
    (flat / "metadata.csv").write_text("\n".join(["path,label", *CSV_ROWS]), encoding="utf-8-sig")
    assert len(ids_of(folder(str(flat)))) == 20


def test_a_csv_can_state_splits_and_groups(flat):
    splits = ["train"] * 6 + ["validation"] * 2 + ["Test "] * 2
    rows = [f"{row},{split},g{i % 3}" for i, (row, split) in enumerate(zip(CSV_ROWS, splits * 2, strict=True))]
    data = folder(str(csv(flat, "path,label,split,group", *rows)))
    assert counts(data) == {"train": 12, "val": 4, "test": 4}
    assert set(data["train"].groups) == {"g0", "g1", "g2"}


def test_groups_of_a_csv_stay_on_one_side(flat):
    rows = [f"{row},scene {i % 10}" for i, row in enumerate(CSV_ROWS)]
    data = folder(str(csv(flat, "path,label,group", *rows)))
    groups = [set(images.groups) for images in data.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10


def test_images_of_a_csv_without_a_group_are_free(flat):
    rows = [f"{row},{'scene' if i < 3 else ''}" for i, row in enumerate(CSV_ROWS)]
    data = folder(str(csv(flat, "path,label,group", *rows)))
    assert counts(data) == {"train": 12, "val": 4, "test": 4}


ERRORS = [
    (["path,class", *CSV_ROWS], ["must have the columns path,label", "path,class"]),
    (["path;label", "a0.png;a"], ["must have the columns", "path;label", "by commas, not by ';'"]),
    ([""], ["must have the columns"]),
    (["path,label"], ["no rows below its header"]),
    (["path,label", *CSV_ROWS, "a0.png,b"], ["a0.png", "2 times", "several labels"]),
    (["path,label", *CSV_ROWS, "gone.png,b"], ["gone.png", "not there", "relative to"]),
    (["path,label", *CSV_ROWS, ",b"], ["line 22", "path or label is empty"]),
    (["path,label", "a0.png,", *CSV_ROWS[1:]], ["line 2", "path or label is empty"]),
    (["path,label", "a0.png,  ", *CSV_ROWS[1:]], ["line 2", "path or label is empty"]),
    (["path,label", "a0.png", *CSV_ROWS[1:]], ["line 2", "the row a0.png ends before the column label"]),
    (["path,label", '"a0.png,a', *CSV_ROWS[1:]], ["line 2", "does not end with one", "unexpected end of data"]),
    (["path,label", '"a\n0.png",a', "a1.png,"], ["line 4", "path or label is empty"]),
    (["path,label", "a0.png,a", "a, 1.png,a"], ["line 3", "'a' is in no column", "a comma in quotes"]),
    (["path,label,label", *(f"{row},x" for row in CSV_ROWS)], ["2 columns called 'label'", "a name of its own"]),
    (["Path,Label", *CSV_ROWS], ["it has Path,Label", "in lower case"]),
    (["path,label,Split", *(f"{row},test" for row in CSV_ROWS)], ["column 'Split' is not read", "call it split"]),
    (["path,label,split", "a0.png,a,training"], ["line 2", "split must be one of train", "'training'"]),
    (
        ["path,label,split", "a0.png,a,train", "a1.png,b,"],
        ["metadata.csv", "a1.png has no split", "others have one"],
    ),
    (
        ["path,label", *(f"{row[:6]},{i}.5" for i, row in enumerate(CSV_ROWS))],
        ["numbers such as 0.5", "not quantities"],
    ),
    (["path,label", "a0.png,1.5", "a1.png,nan", "a2.png,inf"], ["numbers such as 1.5", "not quantities"]),
    (["path,label", *(row[:6] + ",a" for row in CSV_ROWS)], ["only one class, 'a'", "20 images"]),
]


@pytest.mark.parametrize(("lines", "words"), ERRORS)
def test_a_csv_that_is_wrong_is_refused_in_one_line(flat, lines, words):
    with refuses(*words):
        folder(str(csv(flat, *lines)))


@pytest.mark.parametrize(
    "content", ["path,label\na0.png,Käse\n".encode("latin-1"), b"path,label\na0.png,\x00a\n" + b"\xff"]
)
def test_a_csv_that_is_no_utf8_is_refused_in_one_line(flat, content):
    (flat / "metadata.csv").write_bytes(content)
    with refuses("metadata.csv", "UTF-8"):
        folder(str(flat))


def test_whole_numbers_are_names_of_classes(flat):
    data = folder(str(csv(flat, "path,label", *(f"{row[:6]},{i % 2}" for i, row in enumerate(CSV_ROWS)))))
    assert data["train"].classes == ("0", "1")


def test_one_class_is_refused(tmp_path):
    with refuses("photos has only one class, 'cat', with 4 images", "two or more folders"):
        folder(str(photos(tmp_path / "photos", classes=("cat",), n=4)))


def test_one_image_is_refused(tmp_path):
    with refuses("only one class, 'cat', with 1 image"):
        folder(str(photos(tmp_path / "photos", classes=("cat",), n=1)))


def test_one_image_of_each_class_is_too_few_to_draw_from(tmp_path):
    with refuses("has 2 images in train, too few to draw val and test from"):
        folder(str(photos(tmp_path / "photos", n=1)))


def test_images_beside_the_classes_are_refused(tmp_path):
    root = photos(tmp_path / "photos", n=3)
    (root / "stray.png").write_bytes(encoded(picture(0), "PNG"))
    with refuses("stray.png", "1 such file", "in no folder that names its class", "<class>/*"):
        folder(str(root))


def test_images_beside_the_classes_of_a_split_are_refused(tmp_path):
    root = write_images(tmp_path / "photos", ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/stray.png"])
    with refuses("test/stray.png", "<split>/<class>/*"):
        folder(str(root))


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    with refuses("photos holds no images", ".jpg"):
        folder(str(tmp_path / "photos"))


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "photo.png").write_bytes(encoded(picture(0), "PNG"))
    with refuses("photo.png is a file", "folder of images per class"):
        folder(str(tmp_path / "photo.png"))


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"there is no folder .*gone"):
        folder(str(tmp_path / "gone"))


def test_a_folder_that_cannot_be_listed_is_refused_by_name(tmp_path, monkeypatch):
    root = photos(tmp_path / "photos", n=3)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with refuses("cannot list the folder", "photos/dog", "Permission denied"):
        folder(str(root))


def test_hidden_folders_hold_no_images(tmp_path):
    root = photos(tmp_path / "photos", n=5)
    write_images(root, [".thumbs/1.png", "cat/.ipynb_checkpoints/1.png"])
    data = folder(str(root))
    assert data["train"].classes == ("cat", "dog")
    assert len(ids_of(data)) == 10


def test_folders_without_an_image_that_can_be_read_are_named(tmp_path, caplog):
    root = photos(tmp_path / "photos", n=5)
    for name in ("heron/1.heic", "heron/old/2.HEIC", "heron/notes", "cat/more/1.heic"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "wren").mkdir()
    assert folder(str(root))["train"].classes == ("cat", "dog")
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.endswith("are no classes: heron (2 .heic, 1 without suffix), wren (empty)")


def test_empty_classes_of_a_split_are_named(tmp_path, caplog):
    root = write_images(
        tmp_path / "photos", [f"{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in "1234"]
    )
    (root / "test" / "c").mkdir()
    folder(str(root))
    assert caplog.messages[0].endswith(": test/c (empty)")


@pytest.mark.parametrize("target", ["photos", ".", "photos/cat"])
def test_links_to_a_folder_above_add_nothing(tmp_path, target):
    root = photos(tmp_path / "photos", n=5)
    before = ids_of(folder(str(root)))
    (root / "cat" / "loop").symlink_to(tmp_path / target)
    assert ids_of(folder(str(root))) == before


def test_links_to_folders_elsewhere_are_followed_each_time(tmp_path):
    write_images(tmp_path / "elsewhere", [f"{i}.png" for i in range(4)])
    root = photos(tmp_path / "photos", n=5)
    for name in ("emu", "owl"):
        (root / name).symlink_to(tmp_path / "elsewhere")
    assert len(ids_of(folder(str(root)))) == 18


def test_a_seed_below_zero_is_refused(tmp_path):
    with refuses("folder: seed must be at least 0; got -1"):
        folder(str(photos(tmp_path / "photos")), seed=-1)


@pytest.mark.parametrize("options", [{"seed": -1}, {"size": 0}])
def test_digits_of_no_size_or_a_seed_below_zero_are_refused(options):
    with refuses("size must be at least 1 and seed at least 0"):
        digits(**options)


def test_split_folders_may_be_written_in_capitals(tmp_path):
    photos(tmp_path / "set" / "Train", n=6)
    photos(tmp_path / "set" / "TEST", n=4, first_seed=100)
    data = folder(str(tmp_path / "set"))
    assert data["train"].classes == ("cat", "dog")
    assert len(data["test"]) == 8


def test_splits_beside_something_else_are_refused(tmp_path):
    for name in ("train", "test", "junk"):
        photos(tmp_path / "set" / name, n=3)
    with refuses("test, train", "look like splits", "junk", "metadata.csv"):
        folder(str(tmp_path / "set"))


def test_a_class_called_train_is_a_class(tmp_path):
    photos(tmp_path / "set", classes=("train", "bus", "boat"), n=6)
    assert folder(str(tmp_path / "set"))["train"].classes == ("boat", "bus", "train")


def test_the_same_folders_below_every_class_are_hinted_at(tmp_path, caplog):
    for number, name in enumerate(("cartoon", "photo", "sketch", "art")):
        photos(tmp_path / "set" / name, n=6, first_seed=100 * number)
    folder(str(tmp_path / "set"))
    assert 'groups="top"' in caplog.text
    caplog.clear()
    folder(str(tmp_path / "set"), groups="top")
    assert "groups" not in caplog.text


def test_classes_that_train_lacks_are_named(tmp_path, caplog):
    photos(tmp_path / "set" / "train", classes=("cat", "dog"), n=5)
    photos(tmp_path / "set" / "test", classes=("cat", "owl"), n=5, first_seed=50)
    folder(str(tmp_path / "set"))
    assert "owl" in caplog.text
