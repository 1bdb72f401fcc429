"""Tables for a terminal. numpy is imported only for scores, so that lists come at once."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from eyechart.results.leaderboard import Leaderboard
    from eyechart.types import Measure, Record

_ANY = 100_000  # columns of a terminal
_ENCODER, _TASK = 24, 26  # characters: a name is folded where it is longer


def print_leaderboards(boards: Sequence["Leaderboard"]) -> None:
    """Print a table for each data set: the headline on test in percent, with its 95 % interval."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for board in boards:
        for part in _fitting(console, board):
            _print(console, part)
    if boards:
        order = " or ".join(sorted({board.order for board in boards}))
        said = f"On test, in percent unless a unit is given, with 95 % intervals; {order}."
        console.print(Text(said, "dim"))


def _fitting(console: "Console", board: "Leaderboard") -> "Iterator[Table]":
    """Give a leaderboard as the terminal has room for it: intervals below the scores, or some tasks at a time."""

    def fits(table: "Table") -> bool:
        table.columns[0].max_width = table.columns[0].min_width  # names may be folded
        needed = console.measure(table, options=console.options.update(max_width=_ANY)).maximum
        table.columns[0].max_width = None
        return not console.is_terminal or needed <= console.width

    every = range(len(board.tasks))
    for stacked in (False, True):
        if fits(whole := _board(board, every, stacked=stacked)):
            yield whole
            return
    while every:
        few = max((n for n in range(1, len(every) + 1) if fits(_board(board, every[:n], stacked=True))), default=1)
        yield _board(board, every[:few], stacked=True)
        every = every[few:]


def _board(board: "Leaderboard", tasks: Sequence[int], *, stacked: bool) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(board.data), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    longest = max((len(encoder) for encoder, _ in board.rows), default=0)
    table.add_column("encoder", overflow="fold", min_width=min(longest, _ENCODER))
    for task in tasks:
        title = "\n".join(textwrap.wrap(board.tasks[task], _TASK))
        table.add_column(escape(title), justify="right", no_wrap=True)
    for encoder, records in board.rows:
        scores = (_score(records[task]) for task in tasks)
        table.add_row(escape(encoder), *(escape(one.replace("  [", "\n[") if stacked else one) for one in scores))
    return table


def _score(record: "Record | None") -> str:
    from eyechart.metrics.names import metrics
    from eyechart.results.leaderboard import headline, lacking

    measure = headline(record) if record else None
    if measure is None:
        return "-"
    unit, partial = metrics().get(measure.metric, {}).get("unit", ""), lacking(measure.facets)
    said = f" ({partial})" if partial else ""
    if unit == "fraction":
        return _with_interval(f"{100 * measure.value:5.1f}", measure, lambda bound: f"{100 * bound:.1f}") + said
    return _with_interval(f"{short(measure.value)} {unit}".rstrip(), measure, short) + said


def _with_interval(score: str, measure: "Measure", text: Callable[[float], str]) -> str:
    if measure.low is None or measure.high is None:
        return score
    return f"{score}  [{text(measure.low)}, {text(measure.high)}]"


def short(value: float) -> str:
    """Give a number with three digits, or all before the point where there are more.

    >>> short(1234567.0), short(0.012345)
    ('1,234,567', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print dicts as a table whose columns are their keys."""
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    _print(Console(), table)


def _print(console: "Console", table: "Table") -> None:
    """Print a table; into a pipe in whole lines, however long."""
    from rich.console import Console

    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=1000, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # noqa: T201


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))
