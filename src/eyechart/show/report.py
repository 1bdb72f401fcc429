"""One HTML file that says it all: no network, no script, readable on a phone and on paper."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from eyechart.errors import EyechartError
from eyechart.files import as_path, write_bytes
from eyechart.results.records import as_folders
from eyechart.results.sentence import listed
from eyechart.show.board import Column
from eyechart.show.content import Content, gather
from eyechart.show.terminal import short
from eyechart.types import Facet

_SPACE = "\N{NO-BREAK SPACE}"


def report(outs: str | Path | Sequence[str | Path], *, file: str | Path | None = None, by: str | None = None) -> Path:
    """Write the report of one or more run folders and give its path.

    Everything in it is computed from the records, so equal records make equal bytes. It loads nothing, from nowhere.

    Args:
        outs: run folders; their records are shown together.
        file: where to write; by default `report.html` in the first folder.
        by: a field of encoders' cards, such as "objective": a table of each data set puts them together by it.

    Raises:
        EyechartError: a folder holds no records, a file in it is damaged, cards have no such field, or the report
            cannot be written.
    """
    folders = as_folders(outs)
    if not folders:
        raise EyechartError("a report needs at least one run folder; `eyechart run` makes one.")
    path = as_path(file, "file") if file is not None else folders[0]
    path = path / "report.html" if path.is_dir() else path
    write_bytes(path, render(gather(folders, by)).encode(errors="backslashreplace"))  # file names may be no UTF-8
    return path


def render(content: Content) -> str:
    """Give the HTML of a report. Every text in it is escaped."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({one.__name__: one for one in _FILTERS})
    return environment.get_template("report.html.j2").render(content=content)


def number(value: float, unit: str = "fraction") -> str:
    """Give a value as people read it: a fraction as percent with one decimal, others with three digits.

    >>> number(0.98321), number(1234567.0, "parameters"), number(12.345, "ms")
    ('98.3\\xa0%', '1,234,567\\xa0parameters', '12.3\\xa0ms')
    """
    text, sign = _bare(value, unit), "%" if unit == "fraction" else unit
    return f"{text}{_SPACE}{sign}" if sign else text


def _bare(value: float, unit: str) -> str:
    if unit == "fraction":
        return f"{100 * value:.1f}"
    return short(value)


def interval(bounds: tuple[float, float], unit: str = "fraction") -> str:
    """Give an interval without repeating the unit.

    >>> interval((0.963, 0.9931))
    '96.3 to 99.3'
    """
    return " to ".join(_bare(bound, unit) for bound in bounds)


def chosen(facets: Mapping[str, Facet]) -> str:
    """Give hyperparameters as text.

    >>> chosen({"k": 5, "c": 0.001})
    'k = 5, c = 0.001'
    """
    texts = (f"{value:g}" if isinstance(value, float) else str(value) for value in facets.values())
    return ", ".join(f"{name} = {text}" for name, text in zip(facets, texts, strict=True))


def along(value: float, column: Column) -> float:
    """Give a value's place between the ends of a column's bars: 0 at the left, 1 at the right."""
    low, high = column.scale
    return (value - low) / (high - low)


def plural(count: int, one: str, several: str = "") -> str:
    """Give a number with its noun.

    >>> plural(1, "class", "classes"), plural(1200, "image")
    ('1 class', '1,200 images')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def percentage(share: float) -> str:
    """Give a share between 0 and 1 for a style sheet.

    >>> percentage(0.25)
    '25.00%'
    """
    return f"{100 * share:.2f}%"


def widest(names: Iterable[str]) -> int:
    """Give the length of the longest name, 20 at the most: longer ones are broken into lines."""
    return min(20, max(map(len, names), default=0))


def breakable(text: str) -> Markup:
    """Give escaped text that may be broken after the signs between the words of a spec or a path.

    >>> breakable("a<b>(c=1, d=e)")
    Markup('a&lt;b&gt;(<wbr>c=1,<wbr> d=<wbr>e)')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[/:.,(=_+])(?=\D)", text))


def moment(when: str) -> str:
    """Give an ISO time to the minute.

    >>> moment("2026-11-20T20:09:44Z")
    '2026-11-20 20:09 UTC'
    """
    return f"{when[:16].replace('T', ' ')} UTC"


_FILTERS = (number, interval, chosen, along, plural, listed, percentage, widest, breakable, moment)
