"""Retrieval on genuine photographs: UKBench's first objects under every method, and a corridor walked twice.

    python acceptance/retrieval.py --ukbench FOLDER --corridor FOLDER --weights FILE [--out FOLDER]

UKBENCH has full/ukbench000NN.jpg; CORRIDOR has query and ref with a frame's number as each file's name; the weights are
MobileNetV2's (see acceptance/real_images.py). Prints both tables, and stops where what was counted by hand for
MobileNetV2 does not come out: an N-S score of 4.00 of 4, and of 111 frames 0.108 whose first image found is the same
frame, 0.315 within one frame.
"""

import argparse
import math
import tempfile
from pathlib import Path

import eyechart as ec

NETWORK = 'timm:mobilenetv2_100({0}, size=224, crop_pct=0.875, interpolation="bicubic", mean=(0.5, 0.5, 0.5), '
NETWORK += 'std=(0.5, 0.5, 0.5), model_args={{"pad_type": "same"}})'
FLOORS = {
    "pixels": "pixels",
    "hsv_histogram, chi-square": "hsv_histogram",
    "hsv_histogram, cosine": 'compared("hsv_histogram", by="cosine")',
    "hsv_histogram, emd": 'compared("hsv_histogram", by="emd")',
    "hsv_histogram, emd-legacy": 'compared("hsv_histogram", by="emd-legacy")',
    "sift_bovw": 'sift_bovw(split="test")',
    "sift_bovw, idf and RootSIFT": 'sift_bovw(split="test", idf=True, rootsift=True)',
}
SHOWN = (
    ("ns_score", {}),
    ("ns_score_legacy", {}),
    ("map", {"rule": "rectangular"}),
    ("map", {"rule": "trapezoidal"}),
    ("hit_rate_at_k", {"k": 1}),
    ("recall_at_k", {"k": 3}),
    ("map_at_r", {}),
    ("fisher_ratio", {}),
)


def encoders(weights: str) -> dict[str, str]:
    networks = {"MobileNetV2": NETWORK.format(f'weights="{weights}"')}
    return networks | {"MobileNetV2, random": NETWORK.format("pretrained=False")} | FLOORS


def value(table, encoder: str, metric: str, facets: dict, task: str) -> tuple[float, float, float]:
    rows = table[(table.encoder == encoder) & (table.metric == metric) & (table.task == task)]
    for name, wanted in facets.items():
        rows = rows[rows[name].eq(wanted)]
    row = rows.iloc[0]
    assert len(rows) == 1, (encoder, metric, facets, len(rows))
    return row.value, row.low, row.high


def said(name: str, numbers: list[tuple[float, float, float]]) -> str:
    cells = [f"{v:.3f}" if math.isnan(low) else f"{v:.3f} [{low:.2f}, {high:.2f}]" for v, low, high in numbers]
    return f"| {name} | {' | '.join(cells)} |"


def in_order(out, named: dict[str, str]) -> dict[str, str]:
    """Give the label of each encoder: a record's bound spec is that of the encoder asked for."""
    from eyechart.registry import bind

    called = {record.bound["encoder"]: record.encoder for record in out.records}
    return {name: called[bind("encoders", spec).text] for name, spec in named.items()}


def ukbench(folder: str, named: dict[str, str], out: Path, cache: Path) -> None:
    task = "retrieval(k=(1, 3, 4, 10))"
    run = ec.run(encoder=list(named.values()), data=f"ukbench:{folder}", task=task, out=out, cache_dir=cache)
    assert run.exit_code == 0, run.failures
    table, called = run.table(), in_order(run, named)
    name = run.records[0].task
    print(f"| encoder | {' | '.join(' '.join([m, *map(str, f.values())]) for m, f in SHOWN)} |")
    print("|---" * (len(SHOWN) + 1) + "|")
    for encoder, label in called.items():
        print(said(encoder, [value(table, label, metric, facets, name) for metric, facets in SHOWN]))
    best, _, _ = value(table, called["MobileNetV2"], "ns_score", {}, name)
    assert round(best, 2) == 4.0, best
    print(f"report: {ec.report(run.out)}")


def corridor(folder: str, named: dict[str, str], out: Path, cache: Path) -> None:
    data = f'instances:{folder}(name="([0-9]+)", queries="query", gallery="ref")'
    tasks = ["retrieval", "retrieval(tolerance=1)"]
    run = ec.run(encoder=list(named.values()), data=data, task=tasks, out=out, cache_dir=cache)
    assert run.exit_code == 0, run.failures
    table, called = run.table(), in_order(run, named)
    asked = [(task, metric, facets) for task in tasks for metric, facets in SHOWN[4:5] + SHOWN[2:3]]
    print(f"| encoder | {' | '.join(f'{task}: {metric}' for task, metric, _ in asked)} |")
    print("|---" * (len(asked) + 1) + "|")
    for encoder, label in called.items():
        print(said(encoder, [value(table, label, metric, facets, task) for task, metric, facets in asked]))
    for task, expected in zip(tasks, (0.108, 0.315), strict=True):
        hits, _, _ = value(table, called["MobileNetV2"], "hit_rate_at_k", {"k": 1}, task)
        assert round(hits, 3) == expected, hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--ukbench", "--corridor", "--weights"):
        parser.add_argument(name, required=True)
    parser.add_argument("--out")
    asked = parser.parse_args()
    named = encoders(asked.weights)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(asked.out or folder)
        ukbench(asked.ukbench, named, place / "ukbench", place / "cache")
        walked = {name: spec for name, spec in named.items() if "split=" not in spec}
        corridor(asked.corridor, walked, place / "corridor", place / "cache")


if __name__ == "__main__":
    main()
