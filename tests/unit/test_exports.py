"""`ec.embed` and what the functions of the package refuse of Python's own values."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
from eyechart.exports import embed
from samples import output_of, photos, refuses, toy_data


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_below_one_embeds_nothing(limit):
    with refuses("limit must be at least 1 image of each split", f"got {limit}"):
        embed("pixels", toy_data(), limit=limit)


def test_images_that_are_left_out_are_named_with_the_reason(tmp_path, caplog):
    root = photos(tmp_path / "photos")
    for number in range(7):
        (root / "cat" / f"{number:03d}.png").write_text("no image")
    with caplog.at_level(logging.WARNING, logger="eyechart"):
        found = embed("pixels", str(root))
    split, z = max(found.items(), key=lambda item: len(item[1].left_out))
    first = next(iter(z.left_out))
    assert f"pixels on folder:{root}: left out {first} of {split}: this is no image file" in caplog.text
    if len(z.left_out) > 5:
        assert f"left out {len(z.left_out) - 5} more of {split}, listed in left_out" in caplog.text


def test_folds_are_not_advised_to_who_only_embeds(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="eyechart"):
        embed("pixels", str(photos(tmp_path / "photos")))
    assert "folds=5" not in caplog.text


def test_a_path_is_a_data_set(tmp_path):
    root = photos(tmp_path / "digits (2024)")
    assert ec.run(encoder="pixels", data=root, task="knn(k=1)", out="out").records[0].data == f"folder:{root}"
    assert sum(map(len, embed("pixels", Path(root)).values())) == 20


def test_too_long_a_strip_is_left_out_by_encoders_with_a_preprocess_too(tmp_path):
    root = photos(tmp_path / "photos")
    Image.fromarray(np.zeros((3000, 10, 3), np.uint8)).save(root / "cat" / "strip.png")
    for encoder in ("hsv_histogram", "pixels"):
        left_out = {name: why for z in embed(encoder, str(root)).values() for name, why in z.left_out.items()}
        assert left_out == {"cat/strip.png": "10 x 3000 pixels is too long a strip (more than 200:1)"}


def test_a_dry_run_passes_over_a_strip(tmp_path):
    root = photos(tmp_path / "photos")
    Image.fromarray(np.zeros((3000, 10, 3), np.uint8)).save(root / "cat" / "000.png")
    (cell,) = ec.dry_run(encoder="pixels", data=str(root), task="knn(k=1)")
    assert (cell.state, cell.images) == ("to embed", 20)


CALLS = {
    "ec.compare(5)": "a run folder must be a path; got 5.",
    "ec.table([5])": "a run folder must be a path; got 5.",
    "ec.run(data='digits', out=5)": "out must be a path; got 5.",
    "ec.embed('pixels', 'digits', out=5)": "out must be a path; got 5.",
    "ec.embed('pixels', 'digits', limit='a')": "limit must be at least 1 image of each split, a whole number; got 'a'.",
    "ec.embed('pixels', 'digits', limit=2.5)": "limit must be at least 1 image of each split, a whole number; got 2.5.",
    "ec.run(limit=2.5)": "limit must be at least 1 image of each split, a whole number; got 2.5.",
    "ec.run(seed='x')": "seed must be one or more whole numbers, such as [0, 1, 2]; got 'x'.",
    "ec.run(seed=[0.5])": "seed must be one or more whole numbers, such as [0, 1, 2]; got [0.5].",
    "ec.report('out', file=5)": "file must be a path; got 5.",
    "list(ec.verify(5))": "out must be a path; got 5.",
}


def test_values_of_the_wrong_type_are_refused_in_one_line():
    # In another process: here a test's type checks would come first.
    code = f"""
import eyechart as ec
ec.run(encoder="pixels", data="digits", task="knn(k=1)", limit=20, out="out")
for call in {list(CALLS)}:
    try:
        eval(call)
    except ec.EyechartError as error:
        print(error)
"""
    assert output_of(code).splitlines() == list(CALLS.values())
