"""A comparison as a terminal and a report show it: tie groups, differences, picks, one sentence."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from eyechart.results.sentence import listed, number, p_value, probe, words

if TYPE_CHECKING:
    from eyechart.results.choice import Pick
    from eyechart.results.compare import Comparison
    from eyechart.results.decision import Decision
    from eyechart.results.families import Pair, Row
    from eyechart.results.groups import Group
    from eyechart.show.provenance import Sheet

_LEGEND = (
    "Encoders are ordered by val where it was measured, and val alone decides. On test: the score with its 95 % "
    "interval; the difference from the first encoder on the same images, with the p-value after Holm's correction for "
    "all pairs of the task; the ranks that are possible; and the group: encoders of group 1 cannot be told apart from "
    "the best."
)


_GROUPED = (
    "Means over the encoders of a group, each with its 95 % interval; the difference from the first group on the same "
    "images, with the p-value after Holm's correction for the groups of the task. The intervals are for other images; "
    "what other encoders of a group would score is not in them."
)


def print_comparison(comparison: "Comparison") -> None:
    """Print a table for each data set and task, what follows from them, and the sentence."""
    from rich.console import Console
    from rich.text import Text

    from eyechart.show.terminal import print_rows

    console = Console(soft_wrap=True)
    for decision in comparison.decisions:
        for task in dict.fromkeys(row.task for row in decision.rows):
            metric = next(row.metric for row in decision.rows if row.task == task)
            console.print(Text(f"{decision.data}, {task}: {words(metric)}", "bold"))
            print_rows(list(table(decision, task)))
            if decision.groups:
                console.print()
                print_rows(list(grouped(decision, task)))
            console.print()
        for line in lines(decision):
            console.print(Text(line))
    if any(decision.rows for decision in comparison.decisions):
        console.print(Text(_LEGEND, "dim"))
    if any(decision.groups for decision in comparison.decisions):
        console.print(Text(_GROUPED, "dim"))
    for decision in comparison.decisions:
        console.print()
        console.print(Text(decision.sentence))


def table(decision: "Decision", task: str) -> Iterator[dict[str, str]]:
    """Give the rows of a task as texts by column."""
    rows = [row for row in decision.rows if row.task == task]
    speeds = {row.images_per_second for row in rows}
    by_second = {pair.second: pair for pair in decision.pairs if pair.task == task and pair.first == rows[0].encoder}
    for row in rows:
        pair = by_second.get(row.encoder)
        yield {
            "encoder": row.encoder,
            "val": "" if row.val is None else _bare(row.val, row.metric),
            "test": _bare(row.test, row.metric),
            "95 %": _bounds(row.low, row.high, row.metric),
            **_beside(row),
            "from the first": "" if pair is None else _difference(pair),
            "Holm": "" if pair is None else p_value(pair.p_holm),
            "rank": f"{row.rank_low}" if row.rank_low == row.rank_high else f"{row.rank_low} to {row.rank_high}",
            "group": str(row.group),
            "n": f"{row.n:,}",
            **_spreads(row),
            **({} if speeds == {None} else {"images/s": _per_second(row.images_per_second)}),
        }


def _beside(row: "Row | Group") -> dict[str, str]:
    """Give what the task wants shown beside the score: a share of images."""
    known = "" if row.beside_test is None else f"{100 * row.beside_test:.1f}"
    return {} if row.beside is None else {row.beside: known}


def _per_second(speed: float | None) -> str:
    return "" if speed is None else f"{speed:,.0f}"


def grouped(decision: "Decision", task: str) -> Iterator[dict[str, str]]:
    """Give the groups of a task's encoders as texts by column."""
    for one in decision.groups:
        if one.task == task:
            yield {
                one.by: one.group,
                "encoders": str(len(one.encoders)),
                "val": "" if one.val is None else _bare(one.val, one.metric),
                "test": _bare(one.test, one.metric),
                "95 %": _bounds(one.low, one.high, one.metric),
                **_beside(one),
                "from the first": _behind(one),
                "Holm": "" if one.p_holm is None else p_value(one.p_holm),
                "best on val": "" if one.best_val is None else one.best,
                "its test": "" if one.best_val is None else _bare(one.best_test, one.metric),
                "n": f"{one.n:,}",
            }


def _behind(one: "Group") -> str:
    if one.difference is None or one.difference_low is None or one.difference_high is None:
        return ""
    return _with_bounds(one.difference, one.difference_low, one.difference_high, one.metric)


def _difference(pair: "Pair") -> str:
    """Give the second's score minus the first's: how far behind it is."""
    return _with_bounds(0 - pair.difference, 0 - pair.high, 0 - pair.low, pair.metric)  # and never -0.0


def _with_bounds(value: float, low: float, high: float, metric: str) -> str:
    middle, *ends = (_bare(one, metric, sign="+") for one in (value, low, high))
    return f"{middle}  [{', '.join(ends)}]"


def _spreads(row: "Row") -> dict[str, str]:
    """Give the standard deviations over test images, seeds and draws, where there is more than the first."""
    if row.seeds == 1 and row.draws == 1:
        return {}
    known = {"sd images": row.std_test, "sd seeds": row.std_seeds, "sd draws": row.std_draws}
    return {name: "" if value is None else _bare(value, row.metric) for name, value in known.items()}


def _bare(value: float, metric: str, sign: str = "") -> str:
    text = number(value, metric).removesuffix(" %")
    return f"{sign}{text}" if sign and not text.startswith("-") else text


def _bounds(low: float | None, high: float | None, metric: str) -> str:
    return "" if low is None or high is None else f"[{_bare(low, metric)}, {_bare(high, metric)}]"


def lines(decision: "Decision") -> Iterator[str]:
    """Give what is to be said beside the tables: agreement of tasks, picks, and notes."""
    for one in decision.agreements:
        interval = f"{one.low:.2f} to {one.high:.2f}"
        yield f"{one.first} and {one.second} rank {one.encoders} encoders with Kendall's tau {one.tau:.2f} ({interval})"
    for pick in decision.picks:
        yield f"{pick.purpose}: {pick.encoder} with {probe(pick.task)}, {_worth(decision, pick)}"
    for note in decision.notes:
        yield f"note: {note}"


def _worth(decision: "Decision", pick: "Pick") -> str:
    metric = next(row.metric for row in decision.rows if row.task == pick.task)
    scored = f"val {number(pick.val, metric)}, test {number(pick.test, metric)}{_speed(pick.costs)}"
    if pick.purpose == "accuracy":
        return f"best on val: {scored}"
    if pick.purpose == "speed":
        return f"fastest: {scored}"
    tied = len(decision.tied_on_val)
    return f"fastest of the {tied} that val cannot tell apart from the best: {scored}"


def _speed(costs: Mapping[str, float]) -> str:
    speed = costs.get("images_per_second")
    return "" if speed is None else f", {_per_second(speed)} images/s"


def sheet(decision: "Decision") -> "Sheet":
    """Give the sentence, the tie groups and the notes as a report shows them."""
    from eyechart.show.provenance import Sheet

    groups: dict[tuple[str, int], list[str]] = {}
    for row in decision.rows:
        groups.setdefault((row.task, row.group), []).append(row.encoder)
    rows = tuple((task, str(group), listed(names)) for (task, group), names in sorted(groups.items()))
    columns = ("task", "group", "encoders that cannot be told apart from the group's best on test")
    return Sheet(
        title="What is really better", columns=columns, rows=rows, about=decision.sentence, notes=decision.notes
    )


def group_sheet(decision: "Decision") -> "Sheet":
    """Give the groups of all tasks as a report shows them."""
    from eyechart.show.provenance import Sheet

    tasks = dict.fromkeys(one.task for one in decision.groups)
    found = [(task, row) for task in tasks for row in grouped(decision, task)]
    fullest = sorted((row for _, row in found), key=len, reverse=True)  # some have a number beside the score
    columns = [*dict.fromkeys(name for row in fullest for name in row)]
    rows = tuple((task, *(row.get(name, "") for name in columns)) for task, row in found)
    title = f"Encoders by {decision.groups[0].by}"
    return Sheet(title=title, columns=("task", *columns), rows=rows, about=_GROUPED)
