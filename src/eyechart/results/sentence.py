"""A comparison in one plain sentence. Every claim in it is read off a test, an interval or a count."""

from collections.abc import Collection, Mapping, Sequence

from eyechart.metrics.names import metrics
from eyechart.results.choice import Recommendation
from eyechart.results.families import Pair

_PROBES = {"knn": "k-NN", "linear": "the linear probe"}
_WORDS = {"macro_f1": "macro-F1", "nll": "NLL", "brier": "Brier score", "top5_accuracy": "top-5 accuracy"}
_NAMED = 3  # encoders that are named one by one


def sentence(
    data: str,
    recommended: Recommendation,
    pairs: Sequence[Pair],
    *,
    others: Collection[str],
    learned: Collection[str],
    excluded: Collection[str] = (),
    guess: tuple[str, float] | None = None,
    where: str = "",
) -> str:
    """Say which encoder to use, how good it is on test, and how the others compare with it.

    Args:
        data: what the data set is called.
        recommended: the choice.
        pairs: the pairs of its task.
        others: the other encoders, without those that the conditions exclude.
        learned: those there were to choose from that learned from images; the rest are floors.
        excluded: encoders that learned from images and are not known to meet the conditions.
        guess: what an answer without looking is called, and its score on test.
        where: the conditions on the candidates.
    """
    one = recommended
    corrected = f", corrected for having chosen among {one.among}" if one.among > 1 else ""
    low, high = (_bare(bound, one.metric) for bound in (one.low, one.high))
    scored = f"{words(one.metric)} {number(one.test, one.metric)} ({low} to {high}{corrected})"
    among = f" where {where}" if where else ""
    named = f"{one.encoder} with {probe(one.task)}"
    kind = "cross-validated" if one.folds else "test"
    if guess is not None and one.low <= guess[1]:
        start = f"On {data}{among}, val prefers {named}, but its {kind} {scored}"
        return f"{start} is not shown to be better than {guess[0]} ({number(guess[1], one.metric)})."
    start = f"On {data}{among}, use {named}: {kind} {scored}"
    relations = [pair for pair in pairs if one.encoder in {pair.first, pair.second}]
    floor = "" if one.encoder in learned else _floor(len(learned), len(excluded), where)
    relation = _relations(one.encoder, relations, others)
    if relation and one.among > len(others) + 1:  # there were other probes to choose from
        relation = f"among encoders with {probe(one.task)}, {relation}"
    return "; ".join([start, *filter(None, [relation, floor])]) + "."


def _relations(encoder: str, pairs: Sequence[Pair], others: Collection[str]) -> str:
    """Say of which encoders it cannot be told apart, which are behind it, and which are ahead."""
    by_other = {pair.second if pair.first == encoder else pair.first: pair for pair in pairs}
    by_other = {other: pair for other, pair in by_other.items() if other in others}
    tied = [other for other, pair in by_other.items() if pair.better is None]
    behind = {other: pair for other, pair in by_other.items() if pair.better == encoder}
    ahead = {other: pair for other, pair in by_other.items() if pair.better == other}
    said = []
    if tied:
        everyone = len(tied) == len(others) > 1
        who = f"any of the other {len(tied)} encoders" if everyone else listed(tied, _NAMED)
        said.append(f"cannot be told apart from {who} on test")
    if behind:
        nearest = min(behind, key=lambda other: abs(behind[other].difference))
        more = f" and at least as far ahead of {_others(len(behind) - 1)}" if len(behind) > 1 else ""
        said.append(f"is {_gap(behind[nearest])} better than {nearest} ({p_value(behind[nearest].p_holm)}){more}")
    clause = f"it {' and '.join(said)}" if said else ""
    if ahead:
        clause = f"{clause}, but {_reverse(ahead)}" if clause else _reverse(ahead)
    return clause


def _reverse(ahead: Mapping[str, Pair]) -> str:
    """Say which encoders are better on test, the one that is furthest ahead first."""
    ordered = sorted(ahead, key=lambda other: -abs(ahead[other].difference))
    gap, p = _gap(ahead[ordered[0]]), p_value(ahead[ordered[0]].p_holm)
    if len(ordered) == 1:
        return f"on test {ordered[0]} is {gap} better ({p}), which val did not show"
    return f"on test {listed(ordered, _NAMED)} are better, {ordered[0]} by {gap} ({p}), which val did not show"


def _floor(learned: int, excluded: int, where: str) -> str:
    """Say that what is best has learned nothing from images, and what became of those that have."""
    said = "it is a floor that learned from no images"
    if learned:
        none = "the one that did was no" if learned == 1 else f"none of the {learned} that did was"
        return f"{said}, and {none} better on val"
    if excluded:
        none = "the one that did is not" if excluded == 1 else f"none of the {excluded} that did is"
        return f"{said}, and {none} known to meet {where}"
    return f"{said}, so put pretrained encoders beside it"


def _others(count: int) -> str:
    return "1 other" if count == 1 else f"{count} others"


def _gap(pair: Pair) -> str:
    """Give a difference: of fractions in percentage points."""
    size = abs(pair.difference)
    if _fraction(pair.metric):
        points = f"{100 * size:.1f}" if size >= 0.0005 else f"{100 * size:.2g}"
        return f"{points} points"
    return f"{size:.3g}"


def number(value: float, metric: str) -> str:
    """Give a score as people read it.

    >>> number(0.9523, "accuracy"), number(1.2345, "nll")
    ('95.2 %', '1.23')
    """
    return f"{_bare(value, metric)} %" if _fraction(metric) else _bare(value, metric)


def _bare(value: float, metric: str) -> str:
    return f"{100 * value:.1f}" if _fraction(metric) else f"{value:.3g}"


def _fraction(metric: str) -> bool:
    return metrics().get(metric, {}).get("unit") == "fraction"


def words(metric: str) -> str:
    """Give a metric's name as a sentence writes it.

    >>> words("balanced_accuracy"), words("macro_f1")
    ('balanced accuracy', 'macro-F1')
    """
    return _WORDS.get(metric, metric.replace("_", " "))


def probe(task: str) -> str:
    """Give a task as a sentence names it; options that were given stay visible.

    >>> probe("linear"), probe("knn(k=(1,))"), probe("mine")
    ('the linear probe', 'k-NN, knn(k=(1,))', 'mine')
    """
    name, options, _ = task.partition("(")
    plain = _PROBES.get(name.partition(" ")[0])
    if plain is None:
        return task
    return f"{plain}, {task}" if options or " " in name else plain


def p_value(p: float) -> str:
    """Give a p-value with as many digits as mean something.

    >>> p_value(0.00412), p_value(0.2), p_value(1e-9)
    ('p = 0.004', 'p = 0.20', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Give names as a sentence lists them: all, or so many at the most and how many more there are.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"], 3)
    ('a and b', 'a, b, c and 2 others')
    """
    shown = [*names]
    if most is not None and len(names) > most + 1:
        shown = [*names[:most], _others(len(names) - most)]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
