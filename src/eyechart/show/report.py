"""One HTML file that says it all: no network, readable on a phone and on paper, and where scripts are off."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from eyechart.errors import EyechartError
from eyechart.files import as_path, digest, read_json, sha256_of, write_bytes
from eyechart.results.records import RUN_FILE, as_folders
from eyechart.results.sentence import listed
from eyechart.show.board import Column
from eyechart.show.content import Content, gather
from eyechart.show.figures import Gallery, galleries, permission, script
from eyechart.show.terminal import short
from eyechart.types import Facet

_SPACE = "\N{NO-BREAK SPACE}"
_SOURCES = {".py", ".toml", ".csv", ".j2", ".css"}  # of the package, whose change may change a report
_HEAD = 2000  # characters of a report, within which its stamp stands


def report(outs: str | Path | Sequence[str | Path], *, file: str | Path | None = None, by: str | None = None) -> Path:
    """Write the report of one or more run folders and give its path.

    Everything in it is computed from the records, so equal records make equal bytes. It loads nothing, from nowhere.
    Only what is drawn of robustness brings a script with it, in the file itself.

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
    text = render(gather(folders, by), galleries(folders), stamp(folders, by))
    write_bytes(path, text.encode(errors="backslashreplace"))  # file names may be no UTF-8
    return path


def report_of_run(out: Path) -> Path:
    """Give the path of a run's report, written unless it is there and of these very records."""
    path = out / "report.html"
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            if stamp([out], None) in file.read(_HEAD):
                return path
    return report([out])


def stamp(folders: Sequence[Path], by: str | None) -> str:
    """Give what equal reports share: a digest of all that they are computed from, and of what computes them."""
    package = Path(__file__).parents[1]
    program = [file for file in sorted(package.rglob("*.*")) if file.suffix in _SOURCES]
    parts: list[object] = [by, [sha256_of(file) for file in program]]
    for folder in folders:
        run = folder / RUN_FILE
        said = read_json(run) if run.is_file() else {}
        parts += [str(folder), said.get("study"), _content(said.get("study_file"), said.get("published"))]
        made = sorted(folder.glob("results/*/*/*.json"))
        parts += [(str(file.relative_to(folder)), sha256_of(file)) for file in made]
        parts += [(file.name, file.stat().st_size) for file in sorted(folder.glob("arrays/*.npz"))]
    return digest(*parts)


def _content(study: str | None, published: str | None) -> list[str | None]:
    """Give the hashes of a study of the user's own and of the published numbers it names, as far as they are there."""
    files = [Path(study), Path(study).parent / (published or "")] if study else []
    return [sha256_of(file) if file.is_file() else None for file in files]


def render(content: Content, plots: Mapping[str, tuple[Gallery, ...]] | None = None, stamp: str = "") -> str:
    """Give the HTML of a report, with `plots` by data set. Every text in it is escaped."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({one.__name__: one for one in _FILTERS})
    code = script() if plots else ""
    return environment.get_template("report.html.j2").render(
        content=content, plots=plots or {}, script=Markup(code), permission=permission(code), stamp=stamp
    )


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
