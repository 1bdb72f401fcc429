"""Which encoder to use for real images, among all that work offline: tie groups, picks, and the sentence.

    python acceptance/choosing.py --data FOLDER [--weights FILE] [--out DIR]

The folder is a `folder:` data set; the weights are MobileNetV2's (see real_images.py). Runs k-NN, the linear probe, few
labels and cost, prints the comparison as Markdown, and fails unless every cell was computed and the recommended
encoder is the best on val.
"""

import argparse
import json
import sys
from pathlib import Path

from real_images import NETWORK

import eyechart as ec
from eyechart.results.decision import Decision
from eyechart.show.comparing import lines, table

TASKS = ("knn", "linear", "fewshot", "cost")


def encoders(weights: Path | None) -> list[str]:
    """Every kind of encoder that needs no network; the names under which the table shows two of them."""
    found = [NETWORK.format("pretrained=False"), "random_vit", "hog", "hsv_histogram", "pixels", "noise"]
    found.append('concat(parts=("hog", "hsv_histogram"))')
    if weights:
        found.insert(0, NETWORK.format(f'weights="{weights.resolve()}"'))
        found.append(f"concat(parts=({found[0]!r}, 'hog'))")
    return found


def short(text: str, weights: Path | None) -> str:
    """Give a text in which MobileNetV2 has a short name."""
    names = {NETWORK.format("pretrained=False"): "MobileNetV2, random"}
    if weights:
        names[NETWORK.format(f'weights="{weights.resolve()}"')] = "MobileNetV2, ImageNet"
    for name, said in names.items():
        text = text.replace(json.dumps(name), said).replace(name, said)  # as a part, or alone
    return text


def markdown(decision: Decision, weights: Path | None) -> str:
    """Give the tables of a decision and what follows from them."""
    out = []
    for task in dict.fromkeys(row.task for row in decision.rows):
        rows = list(table(decision, task))
        out += [f"**{task}**", "", f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
        out += [f"| {' | '.join(short(row.get(name, ''), weights) for name in rows[0])} |" for row in rows] + [""]
    out += [f"- {short(line, weights)}" for line in lines(decision)]
    return "\n".join([*out, "", f"> {short(decision.sentence, weights)}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/choosing"))
    asked = parser.parse_args()
    results = ec.run(encoder=encoders(asked.weights), data=[f"folder:{asked.data}"], task=TASKS, out=asked.out)
    assert not results.failures, results.failures
    (decision,) = results.compare().decisions
    print(markdown(decision, asked.weights))
    (pick,) = [pick for pick in decision.picks if pick.purpose == "accuracy"]
    best = max(row.val or 0.0 for row in decision.rows if row.task in ("knn", "linear"))
    return int(pick.val < best)


if __name__ == "__main__":
    sys.exit(main())
