"""CSVs that people edit: every cell is read, or the file is refused with the line."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eyechart.errors import EyechartError


class Table(NamedTuple):
    """The columns of a CSV and its rows, each with the number of the line it begins in."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def read_table(path: Path, needed: Sequence[str], wanted: str, *, any_bytes: bool = False) -> Table:
    """Give a CSV that has a header. Columns that nobody asked for are there, too; those without name and content not.

    `wanted` says which columns there must be. With `any_bytes`, names that are no UTF-8 survive.

    Raises:
        EyechartError: the file cannot be read, lacks a column or has it twice, a quote stays open, or a row has too
            few or too many cells.
        FileNotFoundError: there is none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape" if any_bytes else "strict") as file:
            lines = list(_lines(path, file))
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path} is no CSV in UTF-8: {error}. Save it as CSV UTF-8.") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EyechartError(f"{path} cannot be read as a CSV: {error}.") from error
    header, body = (lines[0][1], lines[1:]) if lines else ([], [])
    if not set(needed) <= set(header):
        raise EyechartError(
            f"{path} must have the columns {wanted}; it has {shown(','.join(header)) or 'none'}.{_hint(header, needed)}"
        )
    places = [
        at for at, name in enumerate(header) if name.strip() or any(_cell(cells, at).strip() for _, cells in body)
    ]
    columns = tuple(header[at] for at in places)
    for name, count in Counter(columns).most_common(1):
        if count > 1:
            raise EyechartError(f"{path} has {count} columns called {shown(name)!r}; give each a name of its own.")
    last = max(header.index(name) for name in needed)
    for line, cells in body:
        _check_length(f"{path}, line {line}", header, cells, last)
    return Table(columns, tuple((line, {header[at]: _cell(cells, at) for at in places}) for line, cells in body))


def shown(text: str) -> str:
    """Give text as it can stand in one line: line breaks and bytes that are no UTF-8 are written out."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)


def _lines(path: Path, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each row that is not blank."""
    # Strict: or a quote that stays open makes one cell of all that follows.
    reader = csv.reader(file, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise EyechartError(
                f'{path}, line {line}: a cell begins with a quote (") and does not end with one ({error}). Close it; a '
                "quote within a name is doubled."
            ) from error
        if cells:
            yield line, cells


def _cell(cells: Sequence[str], at: int) -> str:
    return cells[at] if at < len(cells) else ""


def _check_length(where: str, header: Sequence[str], cells: Sequence[str], last: int) -> None:
    if len(cells) <= last:
        raise EyechartError(
            f"{where}: the row {shown(','.join(cells))} ends before the column {header[last]}; separate cells by "
            "commas."
        )
    if beyond := [cell for cell in cells[len(header) :] if cell.strip()]:
        raise EyechartError(
            f"{where}: {shown(beyond[0])!r} is in no column; put a name that holds a comma in quotes, or name one "
            "more column."
        )


def _hint(header: Sequence[str], needed: Sequence[str]) -> str:
    if set(needed) <= {name.strip().lower() for name in header}:
        return " Write their names in lower case and without spaces."
    if len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), "")):
        return f" Separate the columns by commas, not by {mark!r}, as some spreadsheets do."
    return ""
