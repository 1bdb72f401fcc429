"""A comparison as it is printed and as a report shows it."""

import html

import numpy as np
import pytest

import eyechart as ec
from eyechart.show.comparing import lines, sheet, table
from simulated import correct, cost, dataset, probe

LABELS = {split: np.arange(n) % 2 for split, n in (("train", 60), ("val", 200), ("test", 200))}


@pytest.fixture
def decision(tmp_path):
    data = dataset(tmp_path / "run", **LABELS)
    for encoder, wrong in (("dino", 8), ("clip", 12), ("tiny [old]", 60)):
        for task in ("knn", "linear"):
            guesses = {split: correct(LABELS[split], range(wrong)) for split in ("val", "test")}
            probe(tmp_path / "run", data, encoder, task, **guesses)
        cost(tmp_path / "run", data, encoder, 1000 * wrong)
    (one,) = ec.compare(tmp_path / "run").decisions
    return one


def test_the_table_sets_every_encoder_against_the_first(decision):
    first, second, third = table(decision, "knn")
    assert (first["encoder"], first["val"], first["test"]) == ("dino", "96.0", "96.0")
    assert first["95 %"] == "[92.3, 98.0]"
    assert first["from the first"] == first["Holm"] == ""
    assert (first["group"], first["rank"], first["n"]) == ("1", "1 to 2", "200")
    pair = next(pair for pair in decision.pairs if (pair.first, pair.second) == ("dino", "clip"))
    assert second["from the first"] == f"-2.0  [{-100 * pair.high:.1f}, {-100 * pair.low:+.1f}]".replace("+-", "-")
    assert second["Holm"] == "p = 0.062"
    assert third["Holm"] == "p < 0.001"
    assert third["from the first"].startswith("-26.0  [-3")
    assert (third["group"], third["rank"]) == ("2", "3")
    assert "sd seeds" not in first


def test_seeds_and_draws_have_columns_of_their_own(tmp_path):
    data = dataset(tmp_path / "run", **LABELS)
    for seed in (0, 1):
        guesses = {split: correct(LABELS[split], range(10 + 10 * seed)) for split in ("val", "test")}
        probe(tmp_path / "run", data, "dino", seed=seed, **guesses)
    (one,) = ec.compare(tmp_path / "run").decisions
    (row,) = table(one, "knn")
    assert row["sd seeds"] == f"{100 * np.std([0.95, 0.9], ddof=1):.1f}"
    assert 1.5 < float(row["sd images"]) < 2.2
    assert row["sd draws"] == ""


def test_picks_agreement_and_notes_are_lines(decision):
    said = list(lines(decision))
    assert said[0] == "knn and linear rank 3 encoders with Kendall's tau 1.00 (1.00 to 1.00)"
    assert said[1] == "accuracy: dino with k-NN, best on val: val 96.0 %, test 96.0 %, 8,000 images/s"
    assert said[2] == "speed: tiny [old] with k-NN, fastest: val 70.0 %, test 70.0 %, 60,000 images/s"
    assert said[3] == (
        "balance: clip with k-NN, fastest of the 4 that val cannot tell apart from the best: "
        "val 94.0 %, test 94.0 %, 12,000 images/s"
    )
    assert len(said) == 4


def test_a_report_shows_groups_and_the_sentence(decision):
    shown = sheet(decision)
    assert shown.about == decision.sentence
    assert shown.notes == decision.notes
    assert shown.rows == (
        ("knn", "1", "dino and clip"),
        ("knn", "2", "tiny [old]"),
        ("linear", "1", "dino and clip"),
        ("linear", "2", "tiny [old]"),
    )


def test_two_that_are_equal_differ_by_no_negative_zero(tmp_path):
    data = dataset(tmp_path / "run", **LABELS)
    for encoder in ("dino", "clip"):
        probe(tmp_path / "run", data, encoder, **{split: correct(LABELS[split], range(9)) for split in ("val", "test")})
    (one,) = ec.compare(tmp_path / "run").decisions
    assert list(table(one, "knn"))[1]["from the first"] == "+0.0  [+0.0, +0.0]"


def test_the_page_holds_the_notes_each_as_text(tmp_path):
    data = dataset(tmp_path / "run", **LABELS)
    for encoder, task in (("dino", "knn"), ("dino", "linear"), ("<i>", "knn")):
        guesses = {split: correct(LABELS[split], range(9)) for split in ("val", "test")}
        probe(tmp_path / "run", data, encoder, task, **guesses)
    page = ec.report(tmp_path / "run").read_text(encoding="utf-8")
    assert "<li>linear: &lt;i&gt; has no result</li>" in page
    for note in ec.compare(tmp_path / "run").decisions[0].notes:
        assert f"<li>{html.escape(note)}</li>" in page


def test_the_page_of_a_run_says_what_is_really_better(tmp_path):
    out = ec.run(encoder=["noise", "pixels"], data=["digits"], task=["knn(k=1)"], limit=60, out=tmp_path / "out")
    page = ec.report(out.out, file=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What is really better" in page
    assert ec.compare(out.out).sentence in html.unescape(page)
