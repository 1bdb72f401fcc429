"""The little language of --where: comparisons joined by `and`, and nothing else."""

import pytest

from eyechart.results.where import parse
from samples import refuses

NAMES = ("latency_ms", "parameters", "accuracy", "images_per_second")


def written(text):
    return [str(condition) for condition in parse(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("latency_ms<20", ["latency_ms < 20"]),
        ("20 > latency_ms", ["latency_ms < 20"]),
        ("20 <= latency_ms", ["latency_ms >= 20"]),
        ("  parameters <= 1e8 and accuracy > .9 ", ["parameters <= 1e8", "accuracy > .9"]),
        ("0.5 < accuracy <= 0.9", ["accuracy > 0.5", "accuracy <= 0.9"]),
        ("(latency_ms < 20) and (accuracy >= 0.5 and parameters == 5)", None),
        ("accuracy > -0.5", ["accuracy > -0.5"]),
        ("parameters<86567656 and latency_ms<20.1234567", ["parameters < 86567656", "latency_ms < 20.1234567"]),
        ("1_000 < parameters and (accuracy > (-\n0.50))", ["parameters > 1_000", "accuracy > - 0.50"]),
        ("parameters != 0", ["parameters != 0"]),
        ("parameters == 3", ["parameters == 3"]),
    ],
)
def test_what_it_reads(text, conditions):
    if conditions is None:
        with refuses("cannot read"):
            parse(text, NAMES)
    else:
        assert written(text) == conditions


@pytest.mark.parametrize(
    ("sign", "below", "equal", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_what_it_means(sign, below, equal, above):
    (condition,) = parse(f"latency_ms {sign} 20", NAMES)
    assert [condition.holds(value) for value in (19.9, 20.0, 20.1)] == [below, equal, above]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latency_ms",
        "latency_ms <",
        "latency_ms < 20 or accuracy > 0.9",
        "not latency_ms < 20",
        "latency_ms < accuracy",
        "1 < 2",
        "latency_ms < '20'",
        "latency_ms < True",
        "latency_ms < 10 + 10",
        "latency_ms in (1, 2)",
        "latency_ms < 20 and accuracy",
        "__import__('os').system('true') < 1",
        "latency_ms < 20; 1",
        "latency_ms.real < 20",
        "latency_ms < 20\n",
        "x" * 100_000 + "<" * 3,
        "(" * 5000,
        "latency_ms < 20\0",
        "latency_ms < 1" + 400 * "0",
    ],
)
def test_what_it_does_not_read(text):
    if text.endswith("\n"):
        assert written(text) == ["latency_ms < 20"]  # what is around it does not matter
        return
    with refuses("where: cannot read", "such as"):
        parse(text, NAMES)


def test_an_unknown_name_is_answered_with_the_nearest():
    with refuses("nothing is called 'latency'", "Did you mean latency_ms?", "eyechart list metrics"):
        parse("accuracy > 0.5 and latency < 20", NAMES)
    with refuses("nothing is called 'zzz'"):
        parse("zzz < 20", NAMES)


def test_a_percentage_for_a_fraction_is_refused():
    with refuses("accuracy is a fraction between 0 and 1", "got 50"):
        parse("accuracy > 50", ["accuracy"])
