"""Learning from one data set and testing on another, beside the same by hand.

    python acceptance/pairing.py --data-dir FOLDER --weights FILE [--out DIR]

FOLDER holds pacs-128 (<domain>/<class>/*), cifar10-5k and imagenette-160 (<split>/<class>/*, the classes of the latter
being synsets). The weights are MobileNetV2's (`mobilenetv2_100`, TensorFlow padding, mean = std = 0.5). Each data set
is embedded by itself. By hand, the two are then joined by names that stand in this file, k-NN is numpy and the linear
probe scikit-learn. Prints a table; fails if k-NN differs at all or the linear probe by more than half a point, or if a
pair embeds an image again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import eyechart as ec
from eyechart.embedding import fill
from eyechart.types import Embeddings

NETWORK = 'timm:mobilenetv2_100(weights="{0}", size=224, crop_pct=0.875, interpolation="bicubic", '
NETWORK += 'mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), model_args={{"pad_type": "same"}})'
KS, CS = (1, 5, 20), (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
TOLERANCE = 0.005
DOMAINS = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
PACS = {name: name for name in DOMAINS}
BOTH = {"dog": "dog", "horse": "horse"}  # of PACS and CIFAR-10
SYNSETS = {"n02102040": "dog", "n03417042": "truck", "dog": "dog", "truck": "truck"}  # of Imagenette and CIFAR-10


def joined(z: Embeddings, names: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of the classes that have a name."""
    told = [names.get(z.classes[label], "") for label in z.y]
    kept = [row for row, name in enumerate(told) if name]
    order = sorted(set(names.values()))
    return np.asarray(z.x)[kept].astype(np.float64), np.array([order.index(told[row]) for row in kept])


def knn(data: dict[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """The most frequent class of the k most similar, the k that is best on val; of equal ones the first and smaller."""
    x, y = data["train"]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    right: dict[str, dict[int, float]] = {}
    for split in ("val", "test"):
        queries, truth = data[split]
        order = np.argsort(-(queries / np.linalg.norm(queries, axis=1, keepdims=True) @ unit.T), axis=1, kind="stable")
        near = y[order]
        right[split] = {
            k: float(np.mean([np.bincount(row[:k]).argmax() for row in near] == truth)) for k in KS if k <= len(y)
        }
    return right["test"][max(right["val"], key=lambda k: (right["val"][k], -k))]


def linear(data: dict[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """Logistic regression on standardized rows, the C that is best on val, fitted again on train and val."""

    def fitted(c: float, *splits: str) -> object:
        x, y = (np.concatenate([data[split][part] for split in splits]) for part in (0, 1))
        return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000, tol=1e-6)).fit(x, y)

    on_val = {c: fitted(c, "train").score(*data["val"]) for c in CS}
    best = max(on_val, key=lambda c: (on_val[c], -c))
    return fitted(best, "train", "val").score(*data["test"])


def pairs(root: Path, scratch: Path) -> list[tuple[str, str, str, str, dict[str, str]]]:
    """What is paired: a name, the two specs, what else the pair is told, and the classes by hand."""
    for domain in ("sketch", "art_painting", "cartoon", "photo"):  # as a test alone, so that all of it is tested
        (scratch / domain).mkdir()
        (scratch / domain / "test").symlink_to((root / "pacs-128" / domain).resolve())
    photo = f"folder:{root / 'pacs-128' / 'photo'}(val=0.2, test=0.05)"
    cifar, nette = f"folder:{root / 'cifar10-5k'}", f"folder:{root / 'imagenette-160'}"
    found = [(f"photo -> {name}", photo, f"folder:{scratch / name}", "", PACS) for name in ("sketch", "art_painting")]
    found += [("CIFAR-10 -> photo", cifar, f"folder:{scratch / 'photo'}", "", BOTH)]
    named = ', classes="imagenet_cifar10"'
    found += [("Imagenette -> CIFAR-10, map", nette, cifar, named, SYNSETS)]
    return [*found, ("CIFAR-10 -> Imagenette, map", cifar, nette, named, SYNSETS)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/pairing"))
    asked = parser.parse_args()
    encoder = NETWORK.format(asked.weights.resolve())
    worst, made = 0.0, []
    real = fill.forward

    def forward(*given: object) -> object:
        made.append(len(given[1]))
        return real(*given)

    fill.forward = forward
    print("| learnt from -> tested on | classes | images | k-NN | by hand | linear | by hand |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="eyechart-pairing-") as scratch:
        for name, first, second, more, names in pairs(asked.data_dir.resolve(), Path(scratch)):
            one, other = ec.embed(encoder, first), ec.embed(encoder, second)
            data = {split: joined(one[split], names) for split in ("train", "val")} | {
                "test": joined(other["test"], names)
            }
            made.clear()
            spec = f"pair({_quoted(first)}, {_quoted(second)}{more})"
            results = ec.run(encoder=[encoder], data=[spec], task=["knn", "linear"], out=asked.out)
            assert not results.failures, results.failures
            assert not made, f"{name}: {sum(made)} images were embedded again"
            (row,) = [board.as_dicts()[0] for board in results.leaderboards()]
            told = {"knn": (row["knn"], knn(data)), "linear": (row["linear"], linear(data))}
            worst = max(worst, abs(told["linear"][0]["value"] - told["linear"][1]))
            assert told["knn"][0]["value"] == told["knn"][1], told["knn"]
            counts = "/".join(str(len(data[split][1])) for split in data)
            cells = " | ".join(f"{100 * cell['value']:.2f} | {100 * plain:.2f}" for cell, plain in told.values())
            print(f"| {name} | {len(set(names.values()))} | {counts} | {cells} |", flush=True)
    print(f"\nk-NN equal everywhere, no image embedded twice; linear probe within {100 * worst:.2f} points")
    return int(worst > TOLERANCE)


def _quoted(spec: str) -> str:
    escaped = spec.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


if __name__ == "__main__":
    sys.exit(main())
