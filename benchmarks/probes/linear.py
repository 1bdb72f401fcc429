"""The linear probe against scikit-learn's LogisticRegression.

    python benchmarks/probes/linear.py [--classes 10 100] [--rounds 3] [--grid]

45,000 x 768 features, standardized for scikit-learn beforehand (its time is not counted), C in 0.1, 1, 10. In float64
scikit-learn runs at the loosest of its tolerances 1e-4, 3e-5, 1e-5, ... whose objective is within 1e-4 of the best
known for each C, in float32 at its default tolerance. `--grid` times DINOv2's 45 values of C instead, for 10 classes.
"""

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np
from data import embeddings
from timing import fair, interleaved, note, said

if TYPE_CHECKING:
    from eyechart.probes.logistic import Logistic

N, D, CS = 45_000, 768, (0.1, 1.0, 10.0)
EQUAL = 1e-4
TOLERANCES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7)
Fitted = dict[float, tuple[np.ndarray, np.ndarray]]  # C -> weights on standardized features [d, k], biases


def scikit_learn(z: np.ndarray, y: np.ndarray, tolerances: dict[float, float]) -> Fitted:
    from sklearn.linear_model import LogisticRegression

    fitted = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for c, tolerance in tolerances.items():
            model = LogisticRegression(C=c, tol=tolerance, max_iter=5000).fit(z, y)
            fitted[c] = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    return fitted


def eyechart(x: np.ndarray, y: np.ndarray, cs: tuple[float, ...]) -> "dict[float, Logistic]":
    from eyechart.probes.logistic import fit_logistic

    return fit_logistic(x, y, cs)


def standardized(x: np.ndarray, models: "dict[float, Logistic]") -> Fitted:
    """Give the same classifiers as weights on standardized features."""
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    weights = {c: model.weights.astype(np.float64) for c, model in models.items()}
    return {
        c: (weights[c] * scale[:, None], model.bias + (mean - model.origin) @ weights[c]) for c, model in models.items()
    }


def objective(z: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray, bias: np.ndarray) -> float:
    """Mean cross-entropy + |W|^2 / (2 C n), in double precision."""
    logits = z.astype(np.float64) @ weights + bias
    top = logits.max(axis=1)
    loss = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(y)), y]
    return float(loss.mean() + np.square(weights).sum() / (2 * c * len(y)))


def objectives(z: np.ndarray, y: np.ndarray, fitted: Fitted) -> dict[float, float]:
    return {c: objective(z, y, c, *parts) for c, parts in fitted.items()}


def tolerances_for(z: np.ndarray, y: np.ndarray, ours: dict[float, float]) -> dict[float, float]:
    """Give the loosest tolerance at which scikit-learn is as good as we are to 1e-4, for each C."""
    chosen = {}
    for c, reached in ours.items():
        for tolerance in TOLERANCES:
            chosen[c] = tolerance
            higher = objectives(z, y, scikit_learn(z, y, {c: tolerance}))[c] / reached - 1
            note(f"scikit-learn, C {c}, tol {tolerance}: objective {higher:+.1e} relative to ours")
            if higher <= EQUAL:
                break
    return chosen


def compared(classes: int, rounds: int) -> None:
    x, y = embeddings(N, D, classes)
    test, truth = embeddings(5000, D, classes, seed=1)
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    z, z_test = (x - mean) / scale, (test - mean) / scale
    z32 = z.astype(np.float32)
    default = dict.fromkeys(CS, 1e-4)
    found = {"eyechart": standardized(x, eyechart(x, y, CS))}
    equal = tolerances_for(z, y, objectives(z, y, found["eyechart"]))
    found |= {"float64": scikit_learn(z, y, equal), "float32": scikit_learn(z32, y, default)}
    print(f"{N} x {D}, {classes} classes, C = {CS}")
    for name, fitted in found.items():
        at = ", ".join(f"{value:.6f}" for value in objectives(z, y, fitted).values())
        right = ", ".join(f"{((z_test @ w + b).argmax(axis=1) == truth).mean():.4f}" for w, b in fitted.values())
        print(f"  {name}: objective {at}; test accuracy {right}")
    ways = {
        "eyechart": lambda: eyechart(x, y, CS),
        "float64": lambda: scikit_learn(z, y, equal),
        "float32": lambda: scikit_learn(z32, y, default),
    }
    seconds = interleaved(ways, rounds)
    print(said("eyechart", seconds["eyechart"]))
    print(said("scikit-learn float64", seconds["float64"], ours=seconds["eyechart"], more=f"tol {equal}"))
    print(said("scikit-learn float32", seconds["float32"], ours=seconds["eyechart"], more="default tol"))


def grid(rounds: int) -> None:
    x, y = embeddings(N, D, 10)
    z = ((x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)).astype(np.float32)
    cs = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))
    mine: dict[float, Logistic] = {}
    kept: dict[str, Fitted] = {}
    ways = {
        "eyechart": lambda: mine.update(eyechart(x, y, cs)),
        "float32": lambda: kept.update(theirs=scikit_learn(z, y, dict.fromkeys(cs, 1e-4))),
    }
    eyechart(x[:3000], y[:3000], cs[:3])  # imported
    seconds = interleaved(ways, rounds)
    ours, theirs = objectives(z, y, standardized(x, mine)), objectives(z, y, kept["theirs"])
    worst = max(ours[c] / theirs[c] - 1 for c in cs)
    print(f"45 values of C, {N} x {D}, 10 classes; our objective is higher by {worst:.1e} at most, relatively")
    print(said("eyechart", seconds["eyechart"]))
    print(said("scikit-learn float32, default tol", seconds["float32"], ours=seconds["eyechart"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grid", action="store_true")
    asked = parser.parse_args()
    fair()
    if asked.grid:
        grid(asked.rounds)
    else:
        for classes in asked.classes:
            compared(classes, asked.rounds)


if __name__ == "__main__":
    main()
