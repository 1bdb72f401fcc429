"""Which encoder to use for real images, among all that work offline: tie groups, picks, and the sentence.

    python acceptance/choosing.py --data FOLDER [--weights FILE] [--out DIR]

The folder is a `folder:` data set; the weights are MobileNetV2's (see real_images.py). Runs k-NN, the linear probe, few
labels and cost, prints the comparison as Markdown, and fails unless every cell was computed and the recommended encoder
and task are the best on val by what the records' JSON says, read without eyechart.
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


def problems(decision: Decision, found: list[dict]) -> list[str]:
    """Say what is wrong with the recommendation and the pick, given every record's JSON."""
    chosen, val, test = decision.recommendation, {}, {}
    assert chosen, decision.sentence
    for record in found:
        for measure in record["measures"] if record["task"] in ("knn", "linear") else ():
            if measure["metric"] == chosen.metric and measure["facets"].get("selected"):
                side = {"val": val, "test": test}.get(measure["facets"]["split"], {})
                side[record["encoder"], record["task"]] = measure["value"]
    named, best = (chosen.encoder, chosen.task), max(val.values())
    (pick,) = [pick for pick in decision.picks if pick.purpose == "accuracy"]
    checks = {
        f"recommended is {named} with {val[named]} on val, where the best has {best}": val[named] == best,
        f"its scores are said to be {chosen.val} and {chosen.test}": (chosen.val, chosen.test) == (best, test[named]),
        f"it is said to be chosen among {chosen.among}, and there were {len(val)}": chosen.among == len(val),
        f"picked for accuracy is {(pick.encoder, pick.task)}": (pick.encoder, pick.task) == named,
    }
    return [said for said, holds in checks.items() if not holds]


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
    wrong = problems(decision, [json.loads(path.read_text()) for path in asked.out.glob("results/*/*/*.json")])
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
