"""Published numbers beside ours: as a table, at the end of a run, and in a report."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart import study
from eyechart.errors import EyechartError
from eyechart.files import read_json
from eyechart.metrics.names import metrics
from eyechart.registry import bind
from eyechart.results import records
from eyechart.results.leaderboard import told_apart
from eyechart.results.published import Beside, Publication, beside, comparable, read_published
from eyechart.show.provenance import Sheet
from eyechart.types import Record

if TYPE_CHECKING:
    import pandas

_LEADING = ("encoder", "data", "task", "name", "metric")
_NUMBERS = ("published", "value", "low", "high", "n", "difference", "difference_low", "difference_high", "within")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Together:
    """A publication, its numbers with ours, and what is to be said of them."""

    publication: Publication
    rows: tuple[Beside, ...]  # empty where nothing here can be compared with it
    said: tuple[str, ...]


def beside_published(outs: str | Path | Sequence[str | Path]) -> "pandas.DataFrame":
    """Give the published numbers that a run's study names, and ours: one row for each.

    The columns are encoder, data, task, name (what the publication calls the number), metric, the facets that say which
    of our measures is of the same thing, then the published number, our value with its 95 % interval and n, the
    difference (ours minus published) with what our interval makes of it, whether the published number lies within our
    interval, and where there is none of ours the reason.

    Args:
        outs: run folders; of each the study of its newest run says what was published.

    Raises:
        EyechartError: a folder holds no records, no study here names published numbers, or they are of other data or
            tasks than what was run.
    """
    import pandas

    folders = records.as_folders(outs)
    found = [one for out in folders if (one := together(out, told_apart(records.read_outs([out]))[0]))]
    if not found:
        named = ", ".join(map(str, folders))
        raise EyechartError(
            f"no study that was run in {named} names published numbers; `eyechart run robustness` does."
        )
    rows = [_plain(row) for one in found for row in one.rows]
    if not rows:
        raise EyechartError(" ".join(line for one in found for line in one.said))
    table = pandas.DataFrame(rows)
    facets = [name for name in table.columns if name not in (*_LEADING, *_NUMBERS, "reason")]
    return table.reindex(columns=[*_LEADING, *facets, *_NUMBERS, "reason"])


def _plain(row: Beside) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    leading = (row.encoder, row.data, row.published.task, row.published.name, row.published.metric)
    numbers = (row.published.value, row.value, row.low, row.high, row.n, row.difference, low, high, row.within)
    return {
        **dict(zip(_LEADING, leading, strict=True)),
        **row.published.facets,
        **dict(zip(_NUMBERS, numbers, strict=True)),
        "reason": row.reason,
    }


def together(out: Path, shown: Sequence[Record]) -> Together | None:
    """Give what was published of the study that a folder's newest run was of; None where its study names nothing.

    Raises:
        EyechartError: the study's file or that of the numbers is no longer there, or holds what means nothing.
    """
    named = _study_of(out)
    if named is None or named.publication is None:
        return None
    publication = read_published(named.publication)
    tasks = [bind("tasks", spec).text for spec in named.tasks]
    said = _not_comparable(publication, shown, tasks)
    if said:
        return Together(publication=publication, rows=(), said=(said,))
    rows = tuple(beside(publication, shown, tasks))
    return Together(publication=publication, rows=rows, said=tuple(_said(rows)))


def _study_of(out: Path) -> "study.Study | None":
    try:
        run = read_json(out / records.RUN_FILE)
    except FileNotFoundError:
        return None
    name, file = run.get("study"), run.get("study_file")
    if file is None:  # of a study of your own older runs say no more than its name
        return study.read_study(name) if name in study.names() else None
    return study.read_study(file) if run.get("published") else None


def _not_comparable(publication: Publication, shown: Sequence[Record], tasks: Sequence[str]) -> str:
    """Say why nothing here can be compared with a publication; nothing where something can."""
    where = " or ".join(bind("datasets", spec).label for spec in publication.data)
    beginning = f"The numbers of {publication.source} are of {where}"
    usable = comparable(publication, shown)
    if not usable:
        whole = "all images of " * any(record.bound["data"] in publication.data for record in shown)
        here = ", ".join(dict.fromkeys(record.data for record in shown))
        return f"{beginning} and are not shown: what was run here ({here}) is not of {whole}it."
    usable = [record for record in usable if record.bound["task"] in tasks]
    if not usable:
        return f"{beginning}, by the study's own tasks, and are not shown: these have other options here."
    if not {record.bound["encoder"] for record in usable} & {one.encoder for one in publication.values}:
        return f"{beginning}, of encoders that have no results here, and are not shown."
    return ""


def _said(rows: Sequence[Beside]) -> Iterator[str]:
    """Say how many published numbers our intervals hold, and why some have none of ours beside them."""
    for chosen, words in ((False, "Published numbers within our 95 % intervals"), (True, "Chosen as published")):
        known = [row for row in rows if row.within is not None and (row.published.metric not in metrics()) == chosen]
        of, held = (Counter(row.published.name for row in some) for some in (known, [r for r in known if r.within]))
        if known:
            yield f"{words}: " + ", ".join(f"{name} {held[name]} of {count}" for name, count in of.items()) + "."
    lacking: dict[tuple[str, str], list[Beside]] = {}
    for row in rows:
        if row.reason:
            lacking.setdefault((row.encoder, row.published.task), []).append(row)
    for (encoder, task), some in lacking.items():
        reasons = list(dict.fromkeys(row.reason for row in some))
        more = f", and {len(reasons) - 1} more such" if len(reasons) > 1 else ""
        yield f"{len(some)} published of {encoder} in {task} have none of ours beside them: {reasons[0]}{more}."


def summary(one: Together) -> list[dict[str, str]]:
    """Give the numbers that sum up a publication; of several that go by one name, their mean."""
    groups: dict[tuple[Any, ...], list[Beside]] = {}
    for row in one.rows:
        if row.published.name in one.publication.summary:
            kept = tuple(row.published.facets.get(name) for name in one.publication.by)
            groups.setdefault((row.encoder, kept, row.published.name), []).append(row)
    return [
        {
            "encoder": encoder,
            **{by: "" if value is None else str(value) for by, value in zip(one.publication.by, kept, strict=True)},
            "number": name if len(rows) == 1 else f"{name}, mean of {len(rows)}",
            **_numbers(rows),
        }
        for (encoder, kept, name), rows in groups.items()
    ]


def _numbers(rows: Sequence[Beside]) -> dict[str, str]:
    metric, lacks = rows[0].published.metric, any(row.value is None for row in rows)
    published, ours = (
        sum(values) / len(rows) for values in ([r.published.value for r in rows], [r.value or 0.0 for r in rows])
    )
    bounds = rows[0].interval if len(rows) == 1 else None
    return {
        "published": _text(published, metric),
        "ours": "-" if lacks else _text(ours, metric),
        "difference": "-" if lacks else _signed(ours - published, metric) + _bracketed(bounds, metric),
    }


def _text(value: float, metric: str) -> str:
    """Give a number with the digits that publications give: fractions in percent with two."""
    unit = metrics().get(metric, {}).get("unit", "")
    if unit == "fraction":
        return f"{100 * value:.2f}"
    return f"{value:g}" if metric not in metrics() else f"{value:.4f}" if unit == "ratio" else f"{value:.2f}"


def _signed(value: float, metric: str) -> str:
    text = _text(abs(value), metric)
    return ("" if not text.strip("0.") else "+" if value > 0 else "-") + text


def _bracketed(bounds: tuple[float, float] | None, metric: str) -> str:
    return "" if bounds is None else f"  [{', '.join(_signed(bound, metric) for bound in bounds)}]"


def print_published(out: Path, shown: Sequence[Record]) -> None:
    """Print what was published of a run's study beside its results; nothing where its study names nothing."""
    from eyechart.show.terminal import print_rows

    one = together(out, shown)
    if one is None:
        return
    if summed := summary(one):
        print_heading(f"{one.publication.about}: as published by {one.publication.source}, and here")
        print_rows(summed)
    for line in one.said:
        print_line(line)


def print_heading(text: str) -> None:
    """Print a line that stands above a table."""
    print_line(text, "bold")


def print_line(text: str, style: str = "dim") -> None:
    """Print a line of words."""
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(text, style))


def published_sheets(out: Path, shown: Sequence[Record]) -> tuple[Sheet, ...]:
    """Give the numbers that sum up a publication with ours, and all of them, as a report shows them."""
    try:
        one = together(out, shown)
    except EyechartError as error:  # a report of what is here does not depend on a file elsewhere
        return (Sheet(title="Beside published numbers", columns=(), rows=(), about=str(error)),)
    if one is None:
        return ()
    source = one.publication
    about = f"{source.about}, as published by {source.source} ({source.date}; {source.license})."
    rows = summary(one)
    if not one.rows:
        return (Sheet(title=source.about, columns=(), rows=(), about=f"{about} {' '.join(one.said)}"),)
    differs = tuple(f"Not as it was there: {text}." for text in source.differs)
    columns = ("encoder", "task", "number", "of", "published", "ours", "difference", "n", "within our interval")
    every = Sheet(title="Every published number", columns=columns, rows=tuple(map(_cells, one.rows)))
    said = {
        "about": f"{about} A difference is ours minus the published number; its interval is that of ours alone.",
        "notes": (*one.said, *differs),
    }
    if not rows:
        return (dataclasses.replace(every, **said),)
    summed = tuple(tuple(row.values()) for row in rows)
    return Sheet(title=source.about, columns=tuple(rows[0]), rows=summed, **said), every


def _cells(row: Beside) -> tuple[str, ...]:
    facets = ", ".join(f"{name} {value}" for name, value in row.published.facets.items())
    numbers = _numbers([row]).values()
    within = row.reason or ("" if row.within is None else "yes" if row.within else "no")
    count = "" if row.n is None else f"{row.n:,}"
    return (row.encoder, row.published.task, row.published.name, facets, *numbers, count, within)
