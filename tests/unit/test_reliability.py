"""Reliability tables of finished runs: what the recorded calibration errors are made of."""

import math

import pytest

import eyechart as ec


@pytest.fixture
def out():
    return ec.run(encoder=["pixels", "hog"], data=["digits"], task=["linear", "knn(k=1)"], limit=300, out="out")


def test_every_recorded_calibration_error_follows_from_its_bins(out):
    bins, measures = ec.reliability([out.out]), out.table()
    recorded = measures[measures["metric"] == "ece"]
    assert len(recorded) == 4  # two encoders, with the temperature and without
    for _, one in recorded.iterrows():
        here = bins[(bins["encoder"] == one["encoder"]) & (bins["calibrated"] == one["calibrated"])]
        assert here["n"].sum() == one["n"]
        gaps = (here["n"] * (here["confidence"] - here["accuracy"]).abs()).sum() / one["n"]
        assert math.isclose(gaps, one["value"], rel_tol=1e-5)
        assert here["confidence"].is_monotonic_increasing
        assert ((here["low"] <= here["accuracy"]) & (here["accuracy"] <= here["high"])).all()
    assert set(bins["task"]) == {"linear"}  # votes state no probability


def test_the_report_shows_the_bins_before_and_after_the_temperature(out):
    page = ec.report(out.out).read_text(encoding="utf-8")
    first = ec.reliability([out.out]).query("encoder == 'hog' and bin == 1").sort_values("calibrated")
    assert "<h3>hog, linear</h3>" in page
    for share in first["confidence"]:
        assert f"<td>{100 * share:.1f} %</td>" in page
    assert page.count("confidence, scaled") == 2


def test_a_run_without_probabilities_has_no_bins_and_no_table():
    out = ec.run(encoder=["pixels"], data=["digits"], task=["knn(k=1)"], limit=60, out="out")
    assert ec.reliability([out.out]).empty
    assert "Reliability" not in ec.report(out.out).read_text(encoding="utf-8")
