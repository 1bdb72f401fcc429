"""The file of fixes that an audit writes: what a person has put into it stays, and it can be read back."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from eyechart.datasets._fixes import read
from eyechart.hygiene.findings import Audit, Left, Place, Same, Sizes
from eyechart.hygiene.fixes import COLUMNS, write
from samples import refuses

FILE = Path("fixes.csv")


def found(*copies, unreadable=()):
    """An audit that found these: of each copy {id: split}."""
    alike = tuple(
        Same(exact=True, images=tuple(Place(id=name, split=split, label="a") for name, split in one.items()))
        for one in copies
    )
    return Audit(
        data="data",
        splits=(),
        same=alike,
        suspects=(),
        unreadable=tuple(Left(image=Place(id=name, split="train", label="a"), reason="empty") for name in unreadable),
        sizes=Sizes(width=(1, 1.0, 1), height=(1, 1.0, 1), odd=()),
        scores=(),
        encoders={},
        skipped={},
        hints=(),
    )


def lines():
    return [row for _, row in read(FILE).rows]


def actions():
    return {(line["path"], line["problem"]): line["action"] for line in lines()}


def edited(**changes):
    """Write the file again as a person would who changes cells, in new columns or old ones."""
    rows = [line | changes for line in lines()]
    with FILE.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


HERE, THERE = {"x": "test", "y": "train"}, {"x": "train", "y": "test"}


def test_an_image_to_keep_is_not_dropped_for_what_is_found_later():
    write(FILE, found({"x": "train", "y": "train"}))
    assert actions() == {("y", "duplicate"): "drop"}
    edited(action="keep")
    write(FILE, found(HERE))  # another draw: what was a duplicate is a leak
    assert actions() == {("y", "duplicate"): "keep", ("y", "leak"): ""}


def test_an_action_that_was_taken_out_stays_out():
    write(FILE, found({"x": "train", "y": "train"}, unreadable=["z"]))
    edited(action="")
    for again in (found({"x": "train", "y": "train"}, unreadable=["z"]), found(HERE), found(THERE)):
        write(FILE, again)
        assert set(actions().values()) == {""}


def test_of_an_image_that_is_new_the_safe_action_is_filled_in():
    write(FILE, found(HERE))
    edited(action="")
    write(FILE, found(HERE, {"p": "train", "q": "train"}, unreadable=["z"]))
    assert actions() == {("y", "leak"): "", ("q", "duplicate"): "drop", ("z", "unreadable: empty"): "drop"}


@pytest.mark.parametrize("seed", range(5))
def test_however_often_it_is_written_one_of_the_copies_is_left(seed):
    rng = np.random.default_rng(seed)
    for time in range(12):
        there = ["x", "y", "z", "w"][: 2 + time // 4]  # copies are added, and splits are drawn anew
        write(FILE, found({name: str(rng.choice(["train", "val", "test"])) for name in there}))
        dropped = {line["path"] for line in lines() if line["action"] == "drop"}
        assert dropped, actions()
        assert set(there) - dropped, actions()


def test_when_a_person_dropped_the_one_that_was_to_stay_its_copy_is_left():
    FILE.write_text("path,action\nx,drop\n")
    write(FILE, found({"x": "train", "y": "train"}))
    assert actions() == {("x", ""): "drop", ("y", "duplicate"): ""}


def test_columns_of_a_persons_own_are_kept_with_their_rows():
    write(FILE, found(HERE, {"p": "train", "q": "train"}))
    edited(note="", action="")
    text = FILE.read_text().replace("drop,,\n", "drop,,ask Ann\n", 1)
    FILE.write_text(text)
    for again in (found(HERE, {"p": "train", "q": "train"}, {"r": "val", "s": "val"}), found()):
        write(FILE, again)
        assert read(FILE).columns == (*COLUMNS, "note")
        assert {line["path"]: line["note"] for line in lines() if line["note"]} == {"y": "ask Ann"}
    assert len(lines()) == 2  # that one, and the drop that was filled in


def test_suggestions_that_are_not_found_again_are_gone():
    write(FILE, found(HERE))
    edited(action="")
    write(FILE, found())
    assert lines() == []


NAMES = ["a\rb", "a\nb", "a\r\nb", 'a"b', '"a"', "a,b", "a;b", " a ", "a\r", "\n", "\u00e9", "\udce9", "a'b", "a\x0bb"]


def test_any_name_is_read_back_as_it_was_written():
    every = [f"{name}{number}.png" for number, name in enumerate(NAMES)] + NAMES
    write(FILE, found(*({name: "test", f"copy of {name}": "train"} for name in every)))
    assert {line["path"]: line["with"] for line in lines()} == {f"copy of {name}": name for name in every}
    assert {line["action"] for line in lines()} == {"drop"}


def test_lines_end_as_on_unix():
    write(FILE, found(HERE))
    assert FILE.read_bytes() == b",".join(name.encode() for name in COLUMNS) + b"\ny,train,a,leak,x,1.00,drop,drop\n"


def test_a_file_that_lost_rows_to_an_open_quote_is_not_overwritten():
    text = 'path,action\n"x,keep\ny,keep\n'
    FILE.write_text(text)
    with refuses("fixes.csv, line 2", "does not end with one"):
        write(FILE, found(HERE))
    assert FILE.read_text() == text


def test_of_two_copies_one_is_dropped_whatever_their_splits_were_at_each_audit():
    for first, second in itertools.permutations((HERE, THERE, {"x": "val", "y": "val"}), 2):
        FILE.unlink(missing_ok=True)
        write(FILE, found(first))
        write(FILE, found(second))
        assert sorted(line["action"] for line in lines() if line["action"]) == ["drop"]
