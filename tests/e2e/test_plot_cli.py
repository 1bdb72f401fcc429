import re
import shutil
import subprocess

import pytest

import eyechart as ec
from samples import output_of, refused

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TASK = 'robustness(corruptions=("fog", "snow"), severities=(1, 5), c=(1.0,), k=(1,))'


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    done = ec.run(
        encoder=["pixels"], data=["digits"], task=[TASK], limit=40, out=folder / "out", cache_dir=folder / "c"
    )
    assert done.exit_code == 0
    return folder / "out"


def test_plot_writes_the_files_it_names(eyechart, out, tmp_path):
    asked = ("plot", out, "-o", tmp_path / "plots", "--chart", "heat_map", "--format", "svg", "--format", "pdf")
    code, printed, err = eyechart(*asked)
    assert (code, err) == (0, "")
    names = [f"digits-heat_map-{probe}.{kind}" for probe in ("linear", "knn") for kind in ("svg", "pdf")]
    assert printed.split() == [str(tmp_path / "plots" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(names)


def test_plot_reads_the_newest_run_and_says_so(eyechart, out, tmp_path):
    shutil.copytree(out, tmp_path / "runs" / "mine")
    code, printed, err = eyechart("plot", "-o", "plots", "--chart", "leaderboard")
    assert (code, err) == (0, "reading runs/mine\n")
    assert printed == "plots/digits-leaderboard.png\n"


def test_plot_refuses_in_one_line(eyechart, out):
    refused(eyechart("plot", out), "Missing option '-o'")
    refused(eyechart("plot", out, "-o", "p", "--chart", "severity_curve"), "no chart", "Did you mean severity_curves")
    refused(eyechart("plot", out, "-o", "p", "--format", "jpg"), "png, svg, pdf", "'jpg'")
    refused(eyechart("plot", out, "-o", "p", "--chart", "frontier"), "nothing to show", "the task cost")


def test_help_imports_nothing_that_draws():
    code = """
import sys
sys.argv = ["eyechart", "plot", "--help"]
import eyechart.cli
try:
    eyechart.cli.main()
except SystemExit:
    print(sorted({"altair", "vl_convert", "pandas", "numpy"} & set(sys.modules)))
"""
    assert output_of(code).splitlines()[-1] == "[]"


FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--proxy-server=0.0.0.0"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--window-size=1280,9000", "--virtual-time-budget=8000", "--dump-dom"),
)


def in_chromium(page):
    """The page as it stands after its script has run, and what the browser said on its console."""
    asked = [CHROMIUM, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", page.as_uri()]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (chromium, chromium-browser, google-chrome)")
def test_charts_of_a_report_come_to_life_under_its_policy(out, tmp_path):
    path = ec.report(out, file=tmp_path / "report.html")
    before = path.read_text(encoding="utf-8")
    page, said = in_chromium(path)
    assert said == []
    assert before.count("data-alive") == 0
    opened = 5  # the heat map stays as it is drawn, and the other probe's charts are closed
    assert page.count("data-alive=") == opened
    assert page.count('role="graphics-symbol"') > 0  # Vega's own marks, of which the still picture has none


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (chromium, chromium-browser, google-chrome)")
def test_the_policy_stops_any_other_script(out, tmp_path):
    path = ec.report(out, file=tmp_path / "report.html")
    changed = path.read_text(encoding="utf-8").replace("rootMargin", "rootmargin")
    path.write_text(changed, encoding="utf-8")
    page, said = in_chromium(path)
    assert "data-alive=" not in page
    assert "Content Security Policy" in " ".join(said)
