"""`eyechart search` as a user would type it."""

import json
import shutil
import sys

import pytest
from PIL import Image

from samples import photos, refused, write_images

TEXTS = '''
import numpy as np
from eyechart import Encoder, Transform

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


def tint(*, version: int = 1) -> Encoder:
    """The mean color, and texts that name one."""
    return Encoder(
        dim=3,
        transform=Transform(size=4),
        forward=lambda batch: (batch.mean((1, 2)) / 255).astype(np.float32),
        text=lambda lines: np.array([WORDS[line] for line in lines], np.float32),
    )
'''


@pytest.fixture
def colors(tmp_path):
    """A folder with images of one color each."""
    shades = {"red": (250, 20, 20), "rose": (250, 120, 130), "green": (10, 240, 20), "blue": (20, 20, 220)}
    for name, shade in shades.items():
        path = tmp_path / "colors" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 4), shade).save(path)
    Image.new("RGB", (6, 4), (230, 30, 40)).save(tmp_path / "query.png")
    return tmp_path / "colors"


def ids(out):
    return [line.split()[1] for line in out.splitlines()[1:] if line[0].isdigit()]


def test_a_table_of_what_was_found_is_printed(eyechart, colors, caplog):
    code, out, err = eyechart("search", "--encoder", "pixels", "--data", "colors", "query.png")
    assert code == 0, err
    assert out.splitlines()[0].split() == ["rank", "id", "score", "label"]
    assert ids(out) == ["red.png", "rose.png", "blue.png", "green.png"]
    assert "colors is read as instances:colors" in caplog.text
    assert "searched 4 images" in caplog.text


def test_json_holds_all_that_is_known(eyechart, tmp_path):
    photos(tmp_path / "photos")
    shutil.copy(tmp_path / "photos" / "cat" / "000.png", tmp_path / "query.png")
    code, out, _ = eyechart("search", "--encoder", "pixels", "--data", "photos", "query.png", "-k", 3, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["copies"] == ["cat/000.png"]
    assert (told["encoder"], told["data"], told["searched"]) == ("pixels", "folder:photos", 19)
    assert [(hit["rank"], hit["label"], hit["right"]) for hit in told["hits"]] == [(n, "cat", True) for n in (1, 2, 3)]
    assert set(told["hits"][0]) == {"rank", "id", "split", "label", "score", "right"}


def test_words_and_what_they_are_not(eyechart, colors, write_plugin):
    plugin = write_plugin(TEXTS)
    texts = ("search", "--encoder", "tint", "--data", "colors", "--plugin", plugin)
    assert ids(eyechart(*texts, "--text", "red")[1])[:2] == ["red.png", "rose.png"]
    assert ids(eyechart(*texts, "--text", "red", "--text", "blue", "--combine", "max", "-k", "2")[1]) == [
        "red.png",
        "blue.png",
    ]
    assert ids(eyechart(*texts, "query.png", "--not", "red")[1])[-1] == "red.png"


def test_a_sheet_is_drawn(eyechart, colors):
    code, out, _ = eyechart("search", "--encoder", "pixels", "--data", "colors", "red.png", "--sheet", "found.png")
    assert code == 0
    assert "sheet: found.png" in out
    with Image.open("found.png") as drawn:
        assert drawn.format == "PNG"


def test_the_second_search_finds_the_index_and_says_its_recall_again(eyechart, colors, caplog):
    pytest.importorskip("faiss", reason="the extra faiss is not installed")
    command = ("search", "--encoder", "pixels", "--data", "colors", "query.png", "--index", "ivf", "-k", "2")
    for _ in range(2):
        caplog.clear()
        code, out, _ = eyechart(*command)
        assert code == 0
        assert ids(out) == ["red.png", "rose.png"]
        assert "by the index ivf" in caplog.text
        assert "of the 2 nearest images it finds 100.0 %" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.png"], ["there is no file nothing.png", "--text"]),
        ([], ["nothing to search for"]),
        (["--text", "a cat"], ["pixels embeds images only"]),
        (["query.png", "-k", "0"], ["k must be between 1 and the 4 images"]),
        (["query.png", "-k", "5"], ["k must be between 1 and the 4 images", "got 5"]),
        (["query.png", "--split", "train"], ["no split 'train'", "it has test"]),
        (["query.png", "--distance", "near"], ["distance must be one of"]),
        (["query.png", "--combine", "sum"], ["combine must be one of mean, max"]),
        (["query.png", "--index", "tree"], ["index must be exact or one of"]),
        (["query.png", "--sheet", "found.gif"], ["a sheet is a PNG file"]),
        (["notes.png"], ["notes.png cannot be read"]),
        (["colors"], ["colors is a folder"]),
        (["query.png", "--data", "empty"], ["holds no images"]),
        (["query.png", "--data", "nowhere"], ["nowhere"]),
        (["query.png", "--encoder", "pixel"], ["pixel", "Did you mean"]),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(eyechart, colors, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.png").write_text("no image")
    usual = {"--encoder": "pixels", "--data": "colors"}
    given = [part for name, value in usual.items() if name not in arguments for part in (name, value)]
    refused(eyechart("search", *given, *arguments), *words)


def test_a_missing_faiss_is_one_line(eyechart, colors, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    refused(
        eyechart("search", "--encoder", "pixels", "--data", "colors", "query.png", "--index", "flat"),
        "pip install 'eyechart[faiss]'",
    )


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_searched(eyechart, tmp_path, caplog):
    root = write_images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    (root / "b.png").write_text("no image")
    code, out, _ = eyechart("search", "--encoder", "pixels", "--data", "images", "a.png")
    assert code == 0
    assert ids(out) == ["c.png"]
    assert "left out b.png of test: this is no image file" in caplog.text
