"""Leaderboards in terminals of all widths."""

import pytest
import rich.console

import eyechart as ec
from eyechart.show import terminal

TASKS = [
    "knn(k=1)",
    "linear",
    'fewshot(probe=("ridge", "centroid"), shots=(1, 5), draws=2)',
    "cost(warmup=0, repeats=3)",
]


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards")
    options = {"out": folder / "out", "cache_dir": str(folder / "cache"), "limit": 60}
    return ec.run(encoder=["pixels", "hsv_histogram"], data=["digits"], task=TASKS, **options).leaderboards()


@pytest.fixture
def shown(monkeypatch, capsys, boards):
    def show(width):
        class Terminal(rich.console.Console):
            def __init__(self, **options):
                own = {"width": width, "force_terminal": width is not None, "color_system": None}
                super().__init__(**(own | options))

        monkeypatch.setattr(rich.console, "Console", Terminal)
        terminal.print_leaderboards(boards)
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("width", [45, 60, 80, 120, 200])
def test_every_table_names_its_encoders_and_cuts_nothing_off(shown, width):
    out = shown(width)
    tables = out.count("  encoder ")
    assert out.count("hsv_histogram") == tables
    assert out.count("  pixels ") == tables
    assert "\N{HORIZONTAL ELLIPSIS}" not in out
    assert max(map(len, out.splitlines())) <= width
    for name in ("knn(k=(1,))", "linear", "cost(warmup=0, repeats=3)"):
        assert out.count(name) == 1


def test_a_wide_terminal_has_one_table_and_a_narrow_one_several(shown):
    assert shown(200).count("  encoder ") == 1
    assert shown(45).count("  encoder ") > 1


def test_a_pipe_gets_whole_lines(shown):
    lines = [line for line in shown(None).splitlines() if "hsv_histogram" in line]
    assert len(lines) == 1
    assert lines[0].count("[") == 4  # the interval of every task
