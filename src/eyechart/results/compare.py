"""What is really better: every data set's encoders compared image by image, and one of them recommended."""

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.errors import EyechartError
from eyechart.metrics.names import metrics
from eyechart.results.costs import COSTS, costs
from eyechart.results.decision import Decision, Inquiry, decide
from eyechart.results.leaderboard import labels, leaderboards, told_apart
from eyechart.results.records import read_outs
from eyechart.results.stored import Source
from eyechart.results.where import parse
from eyechart.types import Record

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """A decision for each data set. Shown as its sentences; `frame` and `pairs` are tables."""

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

    def as_dict(self) -> dict[str, Any]:
        """Give everything as plain values, fractions as fractions."""
        return dataclasses.asdict(self)

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(decision.sentence)}</p>" for decision in self.decisions)
        return f"{self.frame().to_html(index=False)}{said}"


def compare(
    outs: str | Path | Sequence[str | Path], metric: str | None = None, *, where: str | None = None
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

    Raises:
        EyechartError: a folder holds no records, a file in it is damaged, or `metric` or `where` cannot be used.
    """
    folders = [Path(outs)] if isinstance(outs, str | Path) else [Path(out) for out in outs]
    if not folders:
        raise EyechartError("a comparison needs at least one run folder; `eyechart run` makes one.")
    found: dict[str, Record] = {}
    held: dict[str, Path] = {}
    for folder in folders:
        for record in read_outs([folder]):
            found[record.id], held[record.id] = record, folder
    return comparison(list(found.values()), held, metric, where=where)


def comparison(
    found: Sequence[Record], folders: Mapping[str, Path], metric: str | None = None, *, where: str | None = None
) -> Comparison:
    """Compare records whose arrays are in these folders, by the record's id."""
    if metric is not None and metric not in metrics():
        raise EyechartError(_unknown(metric, _comparable(found)))
    conditions = parse(where, {*metrics(), *COSTS}) if where is not None else ()
    known, notes = costs(found)
    shown, _ = told_apart(found)
    names, decisions = labels(shown), []
    for board in leaderboards(shown):
        source = Source(records=[record for record in shown if record.data == board.data], names=names, folders=folders)
        asked = Inquiry(
            metric=metric,
            conditions=conditions,
            costs=known,
            places={encoder: place for place, (encoder, _) in enumerate(board.rows)},
            notes=tuple(notes),
        )
        decision = decide(board.data, source, asked)
        if decision is not None:
            decisions.append(decision)
    if metric is not None and not any(decision.rows for decision in decisions):
        raise EyechartError(_incomparable(metric, _comparable(found)))
    return Comparison(decisions=tuple(decisions))


def _comparable(found: Sequence[Record]) -> list[str]:
    """Give the metrics of which something is stored for single images."""
    stored: set[str] = set()
    for record in found:
        for name in record.arrays:
            number, _, what = name.partition(".")
            measure = record.measures[int(number)]
            same = {other.metric for other in record.measures if dict(other.facets) == dict(measure.facets)}
            stored |= same & {"accuracy", "balanced_accuracy", "macro_f1"} if what == "predicted" else {measure.metric}
    return sorted(stored)


def _unknown(metric: str, comparable: Collection[str]) -> str:
    near = difflib.get_close_matches(metric, list(comparable)) or difflib.get_close_matches(metric, sorted(metrics()))
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"no metric is called {metric!r}.{hint} What is stored here can be compared by: {_listed(comparable)}."


def _incomparable(metric: str, comparable: Collection[str]) -> str:
    return (
        f"nothing is stored of single images that gives {metric}, so encoders cannot be compared by it. What is stored "
        f"here can be compared by: {_listed(comparable)}."
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "nothing: no record stores what it says of single images"
