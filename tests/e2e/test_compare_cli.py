"""`eyechart compare` as a user would type it, on small real runs."""

import json
from pathlib import Path

from samples import refused

QUICK = ("--encoder", "pixels", "--encoder", "hog", "--encoder", "noise", "--data", "digits", "--limit", "120")


def test_a_run_becomes_tables_and_a_sentence(eyechart):
    tasks = ("--task", "knn", "--task", "linear", "--task", "fewshot(shots=2, draws=3)")
    assert eyechart("run", *QUICK, *tasks, "--out", "runs/digits")[0] == 0
    code, out, err = eyechart("compare")
    assert code == 0, err
    assert "reading runs/digits" in err
    assert "digits, knn: accuracy" in out
    assert "digits, linear: accuracy" in out
    assert "digits, fewshot(shots=(2,), draws=3): accuracy" in out
    assert "sd draws" in out
    last = out.strip().splitlines()[-1]
    assert last.startswith("On digits, use ")
    assert last.endswith(".")
    assert "corrected for having chosen among 6" in last
    assert "points better than noise (p < 0.001)" in last
    assert "knn and linear rank 3 encoders with Kendall's tau" in out
    assert "add --task cost to the run" in out
    page = Path("runs/digits/report.html").read_text(encoding="utf-8")
    assert "What is really better" in page


def test_json_holds_all_of_it_as_fractions(eyechart):
    eyechart("run", *QUICK, "--task", "knn(k=1)", "--out", "run")
    code, out, _ = eyechart("compare", "run", "--json")
    (one,) = json.loads(out)["decisions"]
    assert code == 0
    assert {"rows", "pairs", "agreements", "recommendation", "picks", "tied_on_val", "notes", "sentence"} <= set(one)
    assert len(one["pairs"]) == 3
    assert all(0 <= row["test"] <= 1 and row["rank_low"] <= row["rank_high"] for row in one["rows"])
    assert [row["val"] for row in one["rows"]] == sorted((row["val"] for row in one["rows"]), reverse=True)
    again = eyechart("compare", "run", "--json")[1]
    assert again == out


def test_one_encoder_and_another_metric(eyechart):
    eyechart("run", "--encoder", "pixels", "--data", "digits", "--limit", "60", "--task", "knn(k=1)", "--out", "run")
    out = eyechart("compare", "run")[1]
    assert "On digits, use pixels with k-NN, knn(k=(1,)): test accuracy" in out
    assert "corrected" not in out.splitlines()[-1]
    assert "macro-F1" in eyechart("compare", "run", "--metric", "macro_f1")[1]


def test_what_a_newcomer_would_get_wrong(eyechart):
    eyechart("run", "--encoder", "pixels", "--data", "digits", "--limit", "60", "--task", "knn(k=1)", "--out", "run")
    refused(eyechart("compare", "run", "--metric", "acuracy"), "'acuracy'", "Did you mean accuracy")
    refused(eyechart("compare", "run", "--where", "latencyms < 20"), "latencyms", "Did you mean latency_ms")
    refused(eyechart("compare", "run", "--where", "fast"), "cannot read 'fast'", "such as")
    refused(eyechart("compare", "run", "--metric", "confidence"), "confidence is no merit in itself", "accuracy")
    refused(eyechart("compare", "nowhere"), "nowhere", "holds no records")
    for path in Path("run/arrays").iterdir():
        path.unlink()
    refused(eyechart("compare", "run"), "is missing or damaged", "--redo")


def test_a_run_of_costs_alone_has_a_report_and_nothing_to_compare(eyechart):
    asked = ("--encoder", "pixels", "--data", "digits", "--limit", "40", "--task", "cost(warmup=0, repeats=3)")
    assert eyechart("run", *asked, "--out", "run")[0] == 0
    assert Path("run/report.html").is_file()
    refused(eyechart("compare", "run"), "nothing here was scored", "eyechart run --task knn")


def test_costs_that_were_measured_make_picks_and_conditions(eyechart):
    tasks = ("--task", "knn(k=1)", "--task", "cost(warmup=0, repeats=3)")
    eyechart("run", *QUICK[2:], *tasks, "--out", "run")
    (one,) = json.loads(eyechart("compare", "run", "--json")[1])["decisions"]
    assert [pick["purpose"] for pick in one["picks"]] == ["accuracy", "speed", "balance"]
    assert all(pick["costs"]["images_per_second"] > 0 for pick in one["picks"])
    assert {row["task"] for row in one["rows"]} == {"knn(k=(1,))"}
    out = eyechart("compare", "run", "--where", "images_per_second < 0")[1]
    assert out.strip().splitlines()[-1] == "On digits, no encoder meets images_per_second < 0."
