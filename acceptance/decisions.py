"""Statistics on simulated encoders: false claims, power, and what is said of the chosen one.

python acceptance/decisions.py [--repetitions 500] [--choices 200]

Whether an encoder is right about an image is simulated by a latent Gaussian factor model: the image is easy or hard
for all encoders alike, and each has luck of its own; `correlation` is that of two encoders' latent values. Every
repetition writes records as a run does and reads them back through `eyechart.compare`. Prints a table of what was
claimed, found and expected, and ends with 1 if something is out of bounds.
"""

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import binom, multivariate_normal, norm

import eyechart as ec
from eyechart.results import records
from eyechart.results.differences import differences, mcnemar, widened
from eyechart.results.paired import Answers, Counted, resampled, units_of
from eyechart.results.stats import proportion
from eyechart.types import Images, Record

HEADLINE = {"metric": "accuracy", "facets": {"split": "test"}, "direction": "higher", "chance": "1 / classes"}
CORRELATIONS = (0.5, 0.7, 0.8)
FEW = {"2 groups": 2, "6 groups": 6, "10 groups": 10}


def right(rng, n, shares, correlation):
    """Simulate which of n images each encoder gets right, given the share it gets right in the long run."""
    common, own = rng.standard_normal((n, 1)), rng.standard_normal((n, len(shares)))
    latent = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
    return latent < norm.ppf(shares)


def write_run(out, answers, *, groups=None):
    """Write a run of one task, given by split and encoder which images were right; the images are of two classes."""
    data, keys = {}, {}
    for split, table in answers.items():
        n = len(table)
        labels, ids = np.arange(n) % 2, tuple(f"{split}-{row}" for row in range(n))
        hashes = np.zeros((n, 32), dtype=np.uint8)
        grouped = groups if split == "test" else None
        data[split] = Images(hashes=hashes, load=_none, labels=labels, classes=("a", "b"), ids=ids, groups=grouped)
        keys[split] = data[split].key
    records.save_split_data(out, data)
    for place in range(next(iter(answers.values())).shape[1]):
        records.save(out, _record(place, answers, data, keys))
    return out


def _none(row):
    raise NotImplementedError("simulated images have no pixels")


def _record(place, answers, data, keys):
    measures = []
    for split, table in answers.items():
        predicted = np.where(table[:, place], data[split].labels, 1 - data[split].labels)
        measures.append(proportion("accuracy", table[:, place], facets={"split": split}, predicted=predicted))
    name = f"encoder-{place:02d}"
    return Record(
        id=f"{place:02d}" * 32,
        keys={"encoder": name, "data": keys},
        encoder=name,
        data="simulated",
        task="knn",
        bound={"encoder": f"{name}()", "data": "simulated()", "task": "knn()", "limit": None},
        seed=None,
        measures=tuple(measures),
        headline=HEADLINE,
        made={"when": "2026-01-01T00:00:00Z"},
    )


def compared(answers):
    with tempfile.TemporaryDirectory() as folder:
        (decision,) = ec.compare(write_run(Path(folder), answers)).decisions
    return decision


def false_claims(repetitions, *, n=1000, share=0.9, correlation=0.7, encoders=5, seed=0):
    """Give the share of repetitions in which equal encoders were told apart, over the pairs of a task."""
    rng = np.random.default_rng([seed, n, int(100 * share), int(100 * correlation)])
    false = 0
    for _ in range(repetitions):
        decision = compared({split: right(rng, n, [share] * encoders, correlation) for split in ("val", "test")})
        claimed = any(pair.better for pair in decision.pairs)
        assert claimed == (
            max(row.group for row in decision.rows) > 1 or min(row.rank_high for row in decision.rows) < encoders
        )
        false += claimed
    return false / repetitions


def power(repetitions, *, n=1000, shares=(0.88, 0.85), correlation=0.7, seed=1):
    """Give the share of repetitions in which a planted gap was found, and the one that theory predicts."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(repetitions):
        table = {split: right(rng, n, shares, correlation) for split in ("val", "test")}
        (pair,) = compared(table).pairs
        found += pair.better == "encoder-00"
    return found / repetitions, *theory(n, shares, correlation)


def theory(n, shares, correlation):
    """Give the power of McNemar's test at 5 %: by the normal formula of Connor (1987), and counted out exactly.

    An image is right for the first alone with probability q, for the second alone with r. With s = q + r and
    d = q - r, Connor's power is Phi((d sqrt(n) - z sqrt(s)) / sqrt(s - d^2)). Exactly: the number of images on which
    they differ is binomial (n, s), how many of these the first gets right is binomial (that number, q / s).
    """
    covariance = [[1, correlation], [correlation, 1]]
    both = multivariate_normal(mean=[0, 0], cov=covariance).cdf(norm.ppf(shares))
    q, r = shares[0] - both, shares[1] - both
    s, d = q + r, q - r
    approximate = norm.cdf((d * math.sqrt(n) - norm.ppf(0.975) * math.sqrt(s)) / math.sqrt(s - d * d))
    exact = 0.0
    for differing in range(1, n + 1):
        chance = binom.pmf(differing, n, s)
        if chance > 1e-12:
            first = np.arange(differing // 2 + 1, differing + 1)
            rejected = mcnemar(first, differing - first) < 0.05
            exact += chance * binom.pmf(first[rejected], differing, q / s).sum()
    return float(approximate), float(exact)


def choices(repetitions, *, encoders=20, n=1000, share=0.9, correlation=0.7, seed=2):
    """Give errors of the chosen one's score, whether its intervals held, and the error had test chosen."""
    rng = np.random.default_rng(seed)
    errors, held, peeked = [], [], []
    for _ in range(repetitions):
        table = {split: right(rng, n, [share] * encoders, correlation) for split in ("val", "test")}
        chosen = compared(table).recommendation
        assert chosen is not None
        errors.append(chosen.test - share)
        held.append(chosen.low <= share <= chosen.high)
        peeked.append(table["test"].mean(axis=0).max() - share)
    return np.array(errors), np.array(held), np.array(peeked)


def other_false_claims(repetitions, kind, *, n=600, encoders=5, correlation=0.7, seed=3):
    """Give the same rate of false claims for tests other than McNemar's.

    On groups, on few groups, on shares, on balanced accuracy and macro-F1.
    """
    rng = np.random.default_rng([seed, n])
    false = 0
    for _ in range(repetitions):
        answers = _other(rng, kind, n, encoders, correlation)
        wide = widened(answers)
        (draws,) = resampled([wide.answers], stream=0, resamples=500)
        false += bool(differences(wide, draws).separated.any())
    return false / repetitions


def _other(rng, kind, n, encoders, correlation):
    shares = [0.85] * encoders
    if kind == "groups":  # four images of a group: each encoder is right about all four or about none of them
        outcomes = np.repeat(right(rng, n // 4, shares, correlation), 4, axis=0)
        return Answers(outcomes=outcomes[:, :, None].astype(float), units=units_of(np.repeat(np.arange(n // 4), 4), n))
    if kind in FEW:  # images of a group have nothing in common
        units = np.arange(FEW[kind]).repeat(n // FEW[kind])
        return Answers(outcomes=right(rng, len(units), shares, correlation)[:, :, None].astype(float), units=units)
    if kind == "shares":  # the share of ten draws that were right
        strength = norm.ppf(shares) - 0.8 * rng.standard_normal((n, 1)) - 0.4 * rng.standard_normal((n, encoders))
        outcomes = rng.binomial(10, norm.cdf(strength)) / 10
        return Answers(outcomes=outcomes[:, :, None], units=units_of(None, n))
    from eyechart.metrics.classification import balanced_accuracy, macro_f1

    y = rng.choice(5, size=n, p=[0.5, 0.25, 0.15, 0.06, 0.04])
    hit = right(rng, n, shares, correlation)
    predicted = np.where(hit, y[:, None], (y[:, None] + rng.integers(1, 5, hit.shape)) % 5)[:, :, None]
    metric = balanced_accuracy if kind == "balanced accuracy" else macro_f1
    counted = Counted(metric=metric, y=y, predicted=predicted, classes=5)
    return Answers(outcomes=hit[:, :, None].astype(float), units=units_of(None, n), counted=counted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--choices", type=int, default=200)
    asked = parser.parse_args()
    bound = 0.05 + 1.96 * math.sqrt(0.05 * 0.95 / asked.repetitions)
    rows, failed = [], 0

    def said(what, got, expected, *, well):
        nonlocal failed
        failed += not well
        rows.append((what, got, expected))
        print(f"| {what} | {got} | {expected} | {'holds' if well else 'FAILS'} |", flush=True)

    print("| what | measured | bound | |\n|---|---|---|---|")
    for correlation in CORRELATIONS:
        rate = false_claims(asked.repetitions, correlation=correlation)
        said(
            f"5 equal encoders, n = 1,000, correlation {correlation}: repetitions with a false claim",
            f"{100 * rate:.1f} %",
            f"at most 5 % + {100 * (bound - 0.05):.1f}",
            well=rate <= bound,
        )
    for kind in ("groups", *FEW, "shares", "balanced accuracy", "macro-F1"):
        rate = other_false_claims(asked.repetitions, kind)
        said(
            f"5 equal encoders, n = 600, {kind}",
            f"{100 * rate:.1f} %",
            f"at most {100 * bound:.1f} %",
            well=rate <= bound,
        )
    found, approximate, exact = power(asked.repetitions)
    said(
        "a gap of 3 points (88 % and 85 %), n = 1,000, correlation 0.7: found in",
        f"{100 * found:.1f} %",
        f"theory {100 * approximate:.1f} % (normal), {100 * exact:.1f} % (exact), within 5 points",
        well=abs(found - approximate) <= 0.05 and abs(found - exact) <= 0.05,
    )
    errors, held, peeked = choices(asked.choices)
    error, deviation = errors.mean(), errors.std(ddof=1) / math.sqrt(len(errors))
    said(
        "20 equal encoders, val and test of 1,000: mean error of the chosen one's test score",
        f"{100 * error:+.2f} points (standard error {100 * deviation:.2f})",
        f"within 1.96 standard errors of 0; had test chosen: {100 * peeked.mean():+.2f}",
        well=abs(error) <= 1.96 * deviation,
    )
    said("its interval holds the truth in", f"{100 * held.mean():.1f} %", "at least 95 %", well=held.mean() >= 0.95)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
