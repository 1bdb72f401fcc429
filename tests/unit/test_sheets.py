"""Contact sheets: what stands where, in which color."""

import logging

import numpy as np
import pytest
from PIL import Image, ImageFont

import eyechart as ec
from eyechart.show.sheets import NEUTRAL, RIGHT, WRONG, Tile, fitted, in_rows, sheet, shortened
from samples import photos, picture, plain_encoder, refuses, toy

SIDE, GAP = 144, 10


def color(text):
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


def one_color(value, height, width):
    return np.full((height, width, 3), value, np.uint8)


def corner(row, place, heights):
    """The first pixel of a tile."""
    return GAP + place * (SIDE + GAP), GAP + sum(heights[:row])


def test_images_stand_in_their_places_with_their_frames():
    rows = [[Tile(shown=one_color(50, 9, 9), frame=NEUTRAL)]]
    rows += [[Tile(shown=one_color(100, 9, 9), frame=RIGHT), Tile(shown=one_color(200, 9, 9), frame=WRONG)]]
    drawn = sheet(rows)
    heights = [SIDE + 2 * GAP] * 2
    assert drawn.size == (2 * (SIDE + GAP) + GAP, sum(heights))
    for row, place, shade, frame in ((0, 0, 50, NEUTRAL), (1, 0, 100, RIGHT), (1, 1, 200, WRONG)):
        left, top = corner(row, place, heights)
        assert drawn.getpixel((left, top)) == color(frame)
        assert drawn.getpixel((left + SIDE - 1, top + SIDE - 1)) == color(frame)
        assert drawn.getpixel((left + SIDE // 2, top + SIDE // 2)) == (shade,) * 3
    left, top = corner(0, 1, heights)
    assert drawn.getpixel((left, top)) == (255, 255, 255)


def test_without_a_frame_there_is_none():
    drawn = sheet([[Tile(shown=one_color(50, 132, 132))]])
    assert drawn.getpixel((GAP, GAP)) not in {color(one) for one in (RIGHT, WRONG, NEUTRAL)}


def test_captions_stand_below_and_make_their_row_higher():
    bare, said = (sheet([[Tile(shown=one_color(0, 4, 4), caption=lines)]]) for lines in ((), ("1: 0.5", "cat")))
    line = (said.height - bare.height) / 2
    assert 12 <= line <= 20
    below = np.asarray(said)[GAP + SIDE :]
    assert (below[: int(line)] < 128).any()
    assert (below[int(line) + 3 :] < 128).any()
    assert not (np.asarray(bare)[GAP + SIDE :] < 128).any()


def test_words_stand_in_the_place_of_an_image():
    drawn = np.asarray(sheet([[Tile(shown="a cat on a very soft and very red sofa in the sun")]]))
    inside = drawn[GAP : GAP + SIDE, GAP : GAP + SIDE]
    assert (inside < 100).any()
    assert not (inside[:, :3] < 100).any()
    assert not (inside[:, -3:] < 100).any()


@pytest.mark.parametrize("text", ["word " * 200, "x" * 500, ""])
def test_too_many_words_stay_in_their_square(text):
    drawn = np.array(sheet([[Tile(shown=text), Tile(shown=one_color(255, 3, 3))]]))
    drawn[GAP : GAP + SIDE, GAP : GAP + SIDE] = 255
    assert not (drawn < 200).any()


@pytest.mark.parametrize(("height", "width"), [(300, 200), (200, 300), (1, 900), (132, 132), (5, 7), (200, 1)])
def test_images_keep_their_shape_and_fit(height, width):
    small = fitted(picture(0, height, width))
    room = SIDE - 12
    assert max(small.shape[:2]) <= room
    if max(height, width) <= room:
        times = room // max(height, width)
        assert small.shape == (height * times, width * times, 3)
        assert (small[::times, ::times] == picture(0, height, width)).all()
    else:
        assert max(small.shape[:2]) == room
        assert abs(min(small.shape[:2]) - min(height, width) * room / max(height, width)) <= 1


def test_long_lines_lose_their_middle():
    font = ImageFont.load_default(12)
    name = "a/very/long/path/of/a/photograph/from/the/holidays/0001.jpg"
    short = shortened(name, 144, font)
    assert font.getlength(short) <= 144
    assert font.getlength(short) > 120
    start, end = short.split("\N{HORIZONTAL ELLIPSIS}")
    assert name.startswith(start)
    assert name.endswith(end)
    assert abs(len(start) - len(end)) <= 1
    assert shortened("short.jpg", 144, font) == "short.jpg"


def test_ten_stand_side_by_side():
    assert [len(row) for row in in_rows([Tile(shown="x")] * 23)] == [10, 10, 3]
    assert in_rows([]) == []


def test_a_sheet_of_nothing_is_a_picture():
    assert sheet([]).size == (GAP, 1)


# Of a search


def frame_colors(path, rows):
    """The frames of a search's sheet: rows of tiles with three lines below each, the first with one."""
    found, top = [], GAP
    with Image.open(path) as drawn:
        for count, lines in rows:
            found.append([drawn.getpixel((GAP + place * (SIDE + GAP), top)) for place in range(count)])
            top += SIDE + 16 * lines + 2 * GAP
    return found


def test_a_search_frames_its_hits_by_right_and_wrong(tmp_path):
    root = photos(tmp_path / "photos")
    hits = ec.search("pixels", root, root / "cat" / "000.png", k=12, sheet=tmp_path / "new" / "found.png")
    assert hits.sheet == tmp_path / "new" / "found.png"
    (query,), first, second = frame_colors(hits.sheet, [(1, 1), (10, 3), (2, 3)])
    assert query == color(NEUTRAL)
    assert [one == color(RIGHT) for one in first + second] == [hit.label == "cat" for hit in hits]
    assert {*first, *second} == {color(RIGHT), color(WRONG)}


def test_hits_of_words_have_no_frames(tmp_path):
    encoder = plain_encoder(text=lambda lines: np.ones((len(lines), 6), np.float32))
    hits = ec.search(encoder, {"test": toy(4)}, text="a", without="b", sheet="words.png")
    queries, found = frame_colors(hits.sheet, [(2, 0), (4, 3)])
    assert queries == [color(NEUTRAL)] * 2
    assert not {color(RIGHT), color(WRONG), color(NEUTRAL)} & set(found)


def test_a_sheet_that_cannot_be_written_is_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "file").write_text("")
    with refuses("cannot write", str(tmp_path / "file")):
        ec.search("pixels", {"test": toy(4)}, "toy-000", sheet=tmp_path / "file" / "found.png")
    (tmp_path / "folder.png").mkdir()
    with refuses("a sheet is a PNG file"):
        ec.search("pixels", {"test": toy(4)}, "toy-000", sheet=tmp_path / "folder.png")
