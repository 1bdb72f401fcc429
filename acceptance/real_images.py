"""Real images and a real pretrained network, beside the same protocol in plain timm and scikit-learn.

    python acceptance/real_images.py --data FOLDER... --weights FILE [--out DIR]

Each folder is a `folder:` data set. The weights are MobileNetV2's (`mobilenetv2_100`, TensorFlow padding, mean = std =
0.5). Prints the table of docs/measured.md and fails if k-NN or linear accuracy differ by more than 0.5 points.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import eyechart as ec
from eyechart.registry import bind
from eyechart.types import Images

NETWORK = 'timm:mobilenetv2_100({0}, size=224, crop_pct=0.875, interpolation="bicubic", mean=(0.5, 0.5, 0.5), '
NETWORK += 'std=(0.5, 0.5, 0.5), model_args={{"pad_type": "same"}})'
CS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)  # the default of `linear`
TOLERANCE = 0.005


def plain_features(weights: Path, root: Path, images: Images) -> np.ndarray:
    """What anyone would write with timm."""
    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0)
    state = {name: v for name, v in load_file(weights).items() if not name.startswith("classifier")}
    network.load_state_dict(state, strict=False)
    transform = timm.data.create_transform(
        (3, 224, 224), interpolation="bicubic", crop_pct=0.875, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), 64):
            opened = [Image.open(root / name).convert("RGB") for name in images.ids[start : start + 64]]
            found.append(network(torch.stack([transform(image) for image in opened])).numpy())
    return np.concatenate(found)


def plain_scores(x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> dict[str, float]:
    """k-NN and logistic regression with scikit-learn, hyperparameters chosen on val."""
    neighbors = {k: KNeighborsClassifier(k, metric="cosine").fit(x["train"], y["train"]) for k in (1, 5, 20)}
    k = max(neighbors, key=lambda k: neighbors[k].score(x["val"], y["val"]))
    models = {c: make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-8, max_iter=5000)) for c in CS}
    for model in models.values():
        model.fit(x["train"], y["train"])
    c = max(models, key=lambda c: models[c].score(x["val"], y["val"]))
    models[c].fit(np.concatenate([x["train"], x["val"]]), np.concatenate([y["train"], y["val"]]))
    return {"knn": neighbors[k].score(x["test"], y["test"]), "linear": models[c].score(x["test"], y["test"])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/real_images"))
    asked = parser.parse_args()
    weights = asked.weights.resolve()
    encoders = [NETWORK.format(f'weights="{weights}"'), NETWORK.format("pretrained=False")]
    encoders += ["hog", "hsv_histogram", "pixels", "noise"]
    results = ec.run(encoder=encoders, data=[f"folder:{path}" for path in asked.data], out=asked.out)
    assert not results.failures, results.failures
    worst = 0.0
    for path in asked.data:
        data = bind("datasets", f"folder:{path}").call()
        x = {split: plain_features(weights, path, images) for split, images in data.items()}
        plain = plain_scores(x, {split: images.labels for split, images in data.items()})
        worst = max(worst, print_table(results, path, data, plain))
    print(f"\nlargest difference from the plain protocol: {100 * worst:.2f} points")
    return int(worst > TOLERANCE)


def print_table(results: ec.Results, path: Path, data: dict[str, Images], plain: dict[str, float]) -> float:
    sizes = ", ".join(f"{len(images):,} {split}" for split, images in data.items())
    print(f"\n**{path.name}** ({sizes})\n\n| encoder | k-NN | linear |\n|---|---|---|")
    (board,) = [board for board in results.leaderboards() if board.data == f"folder:{path}"]
    worst = 0.0
    for row in board.as_dicts():
        real, random = "weights=" in row["encoder"], "pretrained=False" in row["encoder"]
        name = "MobileNetV2, ImageNet" if real else "MobileNetV2, random" if random else row["encoder"]
        print(f"| {name} | " + " | ".join(shown(row[task]) for task in ("knn", "linear")) + " |")
        if real:
            worst = max(abs(row[task]["value"] - plain[task]) for task in plain)
    print(f"| *MobileNetV2 by timm and scikit-learn* | *{100 * plain['knn']:.1f}* | *{100 * plain['linear']:.1f}* |")
    return worst


def shown(cell: dict) -> str:
    return f"{100 * cell['value']:.1f} [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"


if __name__ == "__main__":
    sys.exit(main())
