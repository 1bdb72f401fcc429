"""What a task promises: right every time for a perfect encoder, chance for noise, test labels only for the score."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from eyechart.case import Case
from eyechart.conformance import samples
from eyechart.conformance.findings import Broken, Finding, attempt
from eyechart.conformance.isolation import refuse_touched, seeded
from eyechart.conformance.measures import refuse_malformed
from eyechart.metrics.classification import OF_COUNTS
from eyechart.metrics.names import metrics
from eyechart.plan import draws
from eyechart.registry import Bound, bind
from eyechart.results.chance import chance, sizes
from eyechart.results.leaderboard import fits, headline
from eyechart.types import Dataset, Derived, Encoder, Images, Measure, Record

_FIELDS = {"metric", "facets", "direction", "best", "chance"}
_ALSO = {"name", "metric", "facets"}
_NEAR = 0.02  # of a metric's range: how near to its best a perfect encoder must come
_WIDER = 3.2905 / 1.9600  # from a 95 % interval to a 99.9 % one
_SHUFFLES = 4  # how often the labels of test are dealt out anew; a choice made on them changes in one of these


def check_task(bound: Bound) -> list[Finding]:
    """Run a task on a small data set of colors, with encoders that see, and read, all of it, half of it, or nothing."""
    data = samples.colors()
    stated = attempt("headline", partial(_headline, bound))
    ran = attempt("measures", partial(_measures, bound, data))
    if ran.skipped or not ran.passed:
        return [stated, ran]
    scores = [
        attempt("perfect encoder", partial(_reaches_best, bound, data)),
        attempt("noise", partial(_reaches_chance, bound, data)),
    ]
    return [
        stated,
        ran,
        *(scores if stated.passed else ()),
        attempt("repeats itself", partial(_repeats, bound, data)),
        attempt("global random state", partial(_leaves_random_state, bound, data)),
        attempt("test labels", partial(_leaves_test_labels, bound, data)),
    ]


def _run(bound: Bound, data: Dataset, encoder: Encoder | Derived) -> list[Any]:
    """Give what a task yields: Measures, which is for others to check."""
    case = Case(
        encoder=encoder,
        data=data,
        task=bound.text,
        seed=0 if draws(bound) else None,
        label=f"{bound.name} on the conformance colors",
        others={spec: bind("datasets", spec).call() for named in bound.nested("datasets").values() for spec in named},
    )
    return list(bound.entry.load()(case, **bound.options))


def _headline(bound: Bound) -> str:
    stated = bound.entry.constants.get("HEADLINE")
    if not isinstance(stated, dict) or set(stated) != _FIELDS:
        raise Broken(f"its file must state HEADLINE = {{...}}, literals only, with {', '.join(sorted(_FIELDS))}.")
    if stated["metric"] not in metrics():
        raise Broken(f"HEADLINE names the metric {stated['metric']!r}, which is not in metrics/names.toml.")
    better = metrics()[stated["metric"]]["better"]
    if stated["direction"] != better:
        raise Broken(f"HEADLINE says {stated['direction']!r} is better; names.toml says {better!r} of the metric.")
    also = _also(bound)
    more = f"; also {', '.join(str(one['name']) for one in also)}" if also else ""
    return f"{stated['metric']} of {stated['facets'] or 'everything'}, chance {stated['chance']}{more}"


def _also(bound: Bound) -> Sequence[Mapping[str, Any]]:
    """Give what is stated to be compared beside the headline."""
    also = bound.entry.constants.get("ALSO", ())
    if not isinstance(also, tuple | list) or not all(isinstance(one, dict) for one in also):
        raise Broken(f"ALSO must be a tuple of {{...}}, literals only; got {also!r}.")
    for one in also:
        if set(one) - {"beside"} != _ALSO or set(one.get("beside", _ALSO)) != _ALSO:
            raise Broken(f"ALSO must state {', '.join(sorted(_ALSO))}, and may state beside with the same; got {one}.")
        for stated in (one, one.get("beside", one)):
            if stated["metric"] not in metrics():
                raise Broken(f"ALSO names the metric {stated['metric']!r}, which is not in metrics/names.toml.")
    names = [str(one["name"]) for one in also]
    if len(set(names)) < len(names) or not all(names):
        raise Broken(f"ALSO must give each a name of its own; got {', '.join(names)}.")
    return also


def _refuse_unmeasured(stated: Mapping[str, Any], measures: Sequence[Measure], *, of_images: bool) -> None:
    """Raise Broken unless there is a measure that fits, and of single images where they are to be compared."""
    fitting = [one for one in measures if one.metric == stated["metric"] and fits(one.facets, stated["facets"])]
    if not fitting:
        raise Broken(f"ALSO states {stated['metric']} of {stated['facets']}, and it yielded none.")
    if of_images and fitting[0].outcomes is None and fitting[0].predicted is None:
        raise Broken(f"ALSO states {stated['metric']} of {stated['facets']}, which has no outcomes to be compared by.")


def _measures(bound: Bound, data: Dataset) -> str:
    measures = _run(bound, data, samples.blurry())
    if not measures:
        raise Broken("it yielded nothing; a task yields one Measure for each number.")
    for measure in measures:
        refuse_malformed(measure, metrics())
    for one in _also(bound):
        _refuse_unmeasured(one, measures, of_images=one["metric"] not in OF_COUNTS)
        if "beside" in one:
            _refuse_unmeasured(one["beside"], measures, of_images=False)
    return f"it yielded {len(measures)}, of {', '.join(dict.fromkeys(m.metric for m in measures))}"


def _score(bound: Bound, data: Dataset, encoder: Encoder | Derived) -> Measure:
    """Give the measure that HEADLINE points at, found as a leaderboard finds it."""
    measures = tuple(_run(bound, data, encoder))
    for measure in measures:
        refuse_malformed(measure, metrics())
    stated = bound.entry.constants["HEADLINE"]
    record = Record(
        id="", keys={}, encoder="", data="", task=bound.text, bound={}, seed=None, measures=measures, headline=stated
    )
    found = headline(record)
    if found is None:
        facets = [dict(m.facets) for m in measures if m.metric == stated["metric"]]
        raise Broken(
            f"no {stated['metric']} it yields has the HEADLINE's facets {stated['facets']}; it has {facets[:3]}."
        )
    return found


def _reaches_best(bound: Bound, data: Dataset) -> str:
    best = bound.entry.constants["HEADLINE"]["best"]
    if best is None:
        return "HEADLINE states no best"
    measure = _score(bound, data, samples.perfect())
    low, high = metrics()[measure.metric]["range"]
    near = _NEAR * (high - low if np.isfinite(high - low) else abs(best))
    if abs(measure.value - best) > near:
        raise Broken(
            f"an encoder that sees nothing but the class got {measure.metric} {measure.value:.4f} instead of {best}; "
            "look for a row, class or split that is mixed up."
        )
    return f"{measure.metric} {measure.value:.4f} for an encoder that sees nothing but the class"


def _reaches_chance(bound: Bound, data: Dataset) -> str:
    stated = bound.entry.constants["HEADLINE"]["chance"]
    if stated is None:
        return "HEADLINE states no chance"
    expected = chance(stated, sizes(data))
    measure = _score(bound, data, samples.noise())
    allowed = _allowed(measure, expected)
    if abs(measure.value - expected) > allowed:
        raise Broken(
            f"noise got {measure.metric} {measure.value:.4f}; by chance ({stated}) it would be {expected:.4f} +- "
            f"{allowed:.4f}. Does something of test reach the probe, or is `chance` another?"
        )
    return f"{measure.metric} {measure.value:.4f} for noise, {expected:.4f} +- {allowed:.4f} by chance"


def _allowed(measure: Measure, expected: float) -> float:
    """How far luck may take a number from chance, 999 times of 1,000: by its own interval, or as a share of n."""
    share = 3.2905 * np.sqrt(expected * (1 - expected) / measure.n) if 0 < expected < 1 else 0.0
    if measure.low is None or measure.high is None:
        return share
    return max(share, _WIDER * max(measure.high - measure.value, measure.value - measure.low))


def _repeats(bound: Bound, data: Dataset) -> str:
    outputs = []
    for seed in (1, 2):
        with seeded(seed):
            outputs.append(_run(bound, data, samples.blurry()))
    once, again = ([_content(m) for m in measures if _is_exact(m)] for measures in outputs)
    if len(once) != len(again):
        raise Broken(f"run twice, it yielded {len(once)} and {len(again)} measures; draw only from case.rng(...).")
    for first, second in zip(once, again, strict=True):
        if first != second:
            raise Broken(
                f"run twice, {first['metric']} {first['facets']} was {first['value']} and {second['value']}, or its "
                "interval or predictions differ; draw only from case.rng(...)."
            )
    return f"the same to the last bit under other global seeds ({len(once)} measures compared)"


def _is_exact(measure: Measure) -> bool:
    """Times and memory come out different each time; names.toml says so with `repeats = false`."""
    return metrics().get(measure.metric, {}).get("repeats", True)


def _content(measure: Measure) -> dict[str, Any]:
    arrays = {"outcomes": measure.outcomes, "predicted": measure.predicted, "nearest": measure.nearest}
    fields = {f.name: getattr(measure, f.name) for f in dataclasses.fields(measure) if f.name not in arrays}
    return fields | {"facets": dict(measure.facets)} | {name: _bytes(value) for name, value in arrays.items()}


def _bytes(values: np.ndarray | None) -> bytes | None:
    return None if values is None else np.ascontiguousarray(values).tobytes()


def _leaves_random_state(bound: Bound, data: Dataset) -> str:
    with seeded(3) as touched:
        _run(bound, data, samples.blurry())
        return refuse_touched(touched(), "use case.rng(...)")


def _leaves_test_labels(bound: Bound, data: Dataset) -> str:
    """Deal the labels of test out anew: scores change, but nothing that is predicted, chosen, or said of train."""
    blurry = samples.blurry()
    expected = _choices(_run(bound, data, blurry))
    for seed in range(_SHUFFLES):
        shuffled = {split: _shuffled(images, seed) if _is_tested(split) else images for split, images in data.items()}
        _refuse_changed(expected, _choices(_run(bound, shuffled, blurry)))
    predicted = sum(1 for choice in expected.values() if choice[0] is not None)
    return f"with the labels of test dealt out anew, {predicted} sets of predictions and every facet stayed the same"


def _is_tested(split: Any) -> bool:
    return str(split).partition("/")[0] in {"test", "query"}


def _shuffled(images: Images, seed: int) -> Images:
    return dataclasses.replace(images, labels=np.random.default_rng(seed).permutation(images.labels))


def _choices(measures: Sequence[Measure]) -> Mapping[tuple, tuple]:
    """Give what of each measure the labels of test must not touch: predictions, and values of other splits.

    A metric that some labels leave undefined says so in names.toml with `always = false`.
    """
    return {
        (measure.metric, *sorted(measure.facets.items())): (
            _bytes(measure.predicted),
            None if _is_tested(measure.facets.get("split", "test")) else measure.value,
        )
        for measure in measures
        if metrics().get(measure.metric, {}).get("always", True)
    }


def _refuse_changed(expected: Mapping[tuple, tuple], got: Mapping[tuple, tuple]) -> None:
    mend = "choose on val only, and use the labels of test for nothing but the score."
    if vanished := [key for key in expected if key not in got]:
        raise Broken(f"with other labels of test, {_named(vanished[0])} became another measure; {mend}")
    for key, choice in expected.items():
        if choice != got[key]:
            what = "predictions" if choice[0] != got[key][0] else "value"
            raise Broken(f"with other labels of test, the {what} of {_named(key)} changed; {mend}")


def _named(key: tuple) -> str:
    metric, *facets = key
    return f"{metric}({', '.join(f'{name}={value!r}' for name, value in facets)})"
