"""What is really better: every data set's encoders compared image by image, and one of them recommended."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.cards import check_field
from eyechart.errors import EyechartError, did_you_mean
from eyechart.metrics.classification import OF_COUNTS
from eyechart.metrics.names import metrics
from eyechart.results.costs import COSTS, costs
from eyechart.results.decision import Decision, Inquiry, decide
from eyechart.results.leaderboard import fits, labels, leaderboards, told_apart
from eyechart.results.records import as_folders, read_places
from eyechart.results.seen import seen
from eyechart.results.stored import Source, views
from eyechart.results.where import parse
from eyechart.types import Record

if TYPE_CHECKING:
    import pandas

_NO_MERIT = {"confidence"}  # more of it is not better, so it can choose nothing


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """A decision for each data set. Shown as its sentences; `frame`, `pairs` and `groups` are tables."""

    decisions: tuple[Decision, ...]

    @property
    def sentence(self) -> str:
        """One plain sentence for each data set, each on a line."""
        return "\n".join(decision.sentence for decision in self.decisions)

    def frame(self) -> "pandas.DataFrame":
        """Give one row for each data set, task and encoder, best on val first."""
        import pandas

        return pandas.DataFrame(
            [{"data": one.data, **dataclasses.asdict(row)} for one in self.decisions for row in one.rows]
        )

    def pairs(self) -> "pandas.DataFrame":
        """Give one row for each data set, task and pair of encoders."""
        import pandas

        return pandas.DataFrame(
            [{"data": one.data, **dataclasses.asdict(pair)} for one in self.decisions for pair in one.pairs]
        )

    def groups(self) -> "pandas.DataFrame":
        """Give one row for each data set, task and group of encoders, where `by` was given."""
        import pandas

        return pandas.DataFrame(
            [{"data": one.data, **dataclasses.asdict(group)} for one in self.decisions for group in one.groups]
        )

    def as_dict(self) -> dict[str, Any]:
        """Give everything as plain values, fractions as fractions."""
        return dataclasses.asdict(self)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(decision.sentence)}</p>" for decision in self.decisions)
        return f"{self.frame().to_html(index=False)}{said}"


def compare(
    outs: str | Path | Sequence[str | Path],
    metric: str | None = None,
    *,
    where: str | None = None,
    by: str | None = None,
) -> Comparison:
    """Compare the encoders of one or more run folders: tie groups, differences, a pick, one sentence.

    Encoders are ranked and recommended on val alone. Every pair is tested on the test images both were given:
    McNemar's test for accuracy, a paired bootstrap or t-test for other metrics, corrected by Holm over the pairs of
    a task. The recommended encoder's test score comes with an interval for the whole choice.

    Args:
        outs: run folders; their records are compared together.
        metric: a name from `eyechart list metrics`; by default each task's headline, but balanced accuracy instead of
            accuracy where the largest class has at least five times the images of the smallest.
        where: conditions that a recommended encoder must meet, such as "latency_ms < 20 and parameters < 1e8".
            Metrics of quality are those on val.
        by: a field of encoders' cards, such as "objective": their means are compared, too.

    Raises:
        EyechartError: a folder holds no records, or only what encoders cost; a file in it is damaged; or `metric`,
            `where` or `by` cannot be used.
    """
    folders = as_folders(outs)
    if not folders:
        raise EyechartError("a comparison needs at least one run folder; `eyechart run` makes one.")
    return comparison(*read_places(folders), metric, where=where, by=by)


def comparison(
    found: Sequence[Record],
    folders: Mapping[str, Path],
    metric: str | None = None,
    *,
    where: str | None = None,
    by: str | None = None,
) -> Comparison:
    """Compare records whose arrays are in these folders, by the record's id."""
    made = decisions(found, folders, metric, where=where, by=by)
    if not made:
        raise EyechartError(
            "nothing here was scored, so there is nothing to compare: add a task that classifies to the run, as in "
            "`eyechart run --task knn --task linear`."
        )
    if metric is not None and not any(decision.rows for decision in made):
        raise EyechartError(_incomparable(metric, _comparable(found)))
    return Comparison(decisions=made)


def decisions(
    found: Sequence[Record],
    folders: Mapping[str, Path],
    metric: str | None = None,
    *,
    where: str | None = None,
    by: str | None = None,
) -> tuple[Decision, ...]:
    """Give a decision for each data set on which more was measured than costs."""
    if by is not None:
        check_field(by)
    if metric is not None and metric not in metrics():
        raise EyechartError(_unknown(metric, _comparable(found)))
    if metric in _NO_MERIT:
        raise EyechartError(
            f"{metric} is no merit in itself, so encoders cannot be compared by it. What is stored here can be "
            f"compared by: {_listed(_comparable(found))}."
        )
    conditions = parse(where, {*metrics(), *COSTS}) if where is not None else ()
    known, notes = costs(found)
    shown, _ = told_apart(found)
    names, made = labels(shown), []
    for board in leaderboards(shown):
        here = [record for record in shown if record.data == board.data]
        every = [view for record in here for view in views(record, metric)]
        source = Source(records=every, names=names, folders=folders)
        asked = Inquiry(
            metric=metric,
            conditions=conditions,
            costs=known,
            places={encoder: place for place, (encoder, _) in enumerate(board.rows)},
            notes=(*notes, *seen(here, names)),
            by=by,
        )
        decision = decide(board.data, source, asked)
        if decision is not None:
            made.append(decision)
    return tuple(made)


def _comparable(found: Sequence[Record]) -> list[str]:
    """Give the metrics of which something is stored for single images."""
    stored: set[str] = set()
    for record in found:
        alike: dict[frozenset, set[str]] = {}
        for measure in record.measures:
            alike.setdefault(frozenset(measure.facets.items()), set()).add(measure.metric)
        for name in record.arrays:
            number, _, what = name.partition(".")
            measure = record.measures[int(number)]
            if not any(fits(measure.facets, view.headline.get("facets", {})) for view in views(record)):
                continue
            same = alike[frozenset(measure.facets.items())]
            stored |= same & {"accuracy", *OF_COUNTS} if what == "predicted" else {measure.metric}
    return sorted(stored - _NO_MERIT)


def _unknown(metric: str, comparable: Collection[str]) -> str:
    hint = did_you_mean(metric, comparable) or did_you_mean(metric, sorted(metrics()))
    return f"no metric is called {metric!r}.{hint} What is stored here can be compared by: {_listed(comparable)}."


def _incomparable(metric: str, comparable: Collection[str]) -> str:
    return (
        f"nothing is stored of single images that gives {metric}, so encoders cannot be compared by it. What is stored "
        f"here can be compared by: {_listed(comparable)}."
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "nothing: no record stores what it says of single images"
