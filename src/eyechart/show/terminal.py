"""Tables for a terminal. numpy is imported only for scores, so that lists come at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from eyechart.results.table import Leaderboard
    from eyechart.types import Record


def print_leaderboards(boards: Sequence["Leaderboard"]) -> None:
    """Print one table for each data set: the headline on test in percent, with its 95 % interval."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for board in boards:
        console.print(_board(board))
    if boards:
        console.print(Text("Test scores with 95 % intervals; the order is that of the mean score on val.", "dim"))


def _board(board: "Leaderboard") -> "Table":
    from rich.table import Table

    table = Table(title=board.data, title_justify="left", title_style="bold")
    table.add_column("encoder", overflow="fold")
    for task in board.tasks:
        table.add_column(task, justify="right", no_wrap=True)
    for encoder, records in board.rows:
        table.add_row(encoder, *(_score(record) for record in records))
    return table


def _score(record: "Record | None") -> str:
    from eyechart.results.table import headline

    measure = headline(record) if record else None
    if measure is None:
        return "-"
    if measure.low is None or measure.high is None:
        return f"{100 * measure.value:.1f}"
    return f"{100 * measure.value:5.1f}  [{100 * measure.low:.1f}, {100 * measure.high:.1f}]"


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print dicts as a table whose columns are their keys."""
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    console = Console()
    if not console.is_terminal:  # a pipe wants whole lines
        console = Console(width=400)
    console.print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))
