"""Accuracy against the bytes of an embedding: one real network at several sizes, reduced, whitened, quantized.

    python acceptance/compressed.py --data FOLDER... --weights FILE [--out DIR] [--chart FILE]

Each folder is a `folder:` data set; the weights are MobileNetV2's (see real_images.py). Prints the tables of
docs/derived.md; --chart draws its picture (with altair and vl-convert-python). Fails unless every cell was computed,
the task `cost` counts the bytes that dimensions and bits make, and the k-NN accuracies of a reduced, a whitened and two
quantized encoders are within half a point of those by scikit-learn and plain numpy.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from real_images import NETWORK, TOLERANCE, shown
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import eyechart as ec
from eyechart.registry import bind

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

DIM, AXES = 1280, (256, 128, 64, 32, 16)
PROBES = {"knn": "k-NN", "linear": "linear probe"}
COST = "cost(warmup=0, repeats=1, seconds=0.001)"  # for the bytes alone
COLORS = {
    "plain": "#333333",
    "multiscale": "#8c6d1f",
    "whiten": "#7b4fa3",
    "quantize": "#c0392b",
    "reduce": "#1f6fb4",
    "reduce, 8 bits": "#1e8a5f",
    "reduce, 1 bit": "#d9822b",
}
ALONE = ("plain", "multiscale", "whiten")  # families of one
BESIDE = {"multiscale": 1.2, "whiten": 0.83, "reduce, 8 bits": 0.93, "reduce, 1 bit": 0.87}  # not to hide each other


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An encoder, and what the table and the chart call it."""

    spec: str
    name: str
    family: str
    point: str = ""  # what tells it from the others of its family
    dim: int | None = DIM  # None: one less than the images of train, DIM at most
    bits: int = 32


def candidates(network: str) -> list[Candidate]:
    reduced = {pca: f"reduce({network!r}, pca={pca})" for pca in AXES}
    plain = Candidate(network, "MobileNetV2", "plain")
    several = Candidate(f"multiscale({network!r})", "multiscale", "multiscale")
    white = Candidate(f"whiten({network!r})", "whiten", "whiten", dim=None)
    coarse = [
        Candidate(f"quantize({network!r}, bits={bits})", f"quantize, {_bits(bits)}", "quantize", _bits(bits), bits=bits)
        for bits in (16, 8, 4, 1)
    ]
    fewer = [Candidate(spec, f"reduce to {pca}", "reduce", str(pca), dim=pca) for pca, spec in reduced.items()]
    both = [
        Candidate(
            f"quantize({spec!r}, bits={bits})",
            f"reduce to {pca}, {_bits(bits)}",
            f"reduce, {_bits(bits)}",
            str(pca),
            pca,
            bits,
        )
        for bits in (8, 1)
        for pca, spec in reduced.items()
    ]
    return [plain, several, white, *coarse, *fewer, *both]


def _bits(number: int) -> str:
    return f"{number} bit{'s' * (number > 1)}"


def rows_of(records: list[ec.Record], path: Path, listed: list[Candidate]) -> list[dict]:
    """Give what was measured of each candidate on one data set: its bytes, and the headline of both probes."""
    found = {
        (record.bound["encoder"], record.task.partition("(")[0]): record
        for record in records
        if record.data == f"folder:{path}"
    }
    rows = []
    for one in listed:
        bound = bind("encoders", one.spec).text
        row = dataclasses.asdict(one) | {"data": path.name}
        row["bytes"] = int(headline(found[bound, "cost"], metric="bytes_per_embedding").value)
        for probe in PROBES:
            best = headline(found[bound, probe], metric="accuracy", split="test", selected=True)
            row[probe] = {"value": best.value, "low": best.low, "high": best.high}
        rows.append(row)
    return rows


def headline(record: ec.Record, *, metric: str, **facets: object) -> ec.Measure:
    (found,) = [one for one in record.measures if one.metric == metric and facets.items() <= dict(one.facets).items()]
    return found


def print_table(rows: list[dict], splits: dict[str, np.ndarray]) -> None:
    sizes = ", ".join(f"{len(y):,} {split}" for split, y in splits.items())
    print(f"\n**{rows[0]['data']}** ({sizes})\n\n| encoder | bytes | k-NN | linear |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {row['bytes']:,} | {shown(row['knn'])} | {shown(row['linear'])} |")


def plain_knn(x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> float:
    models = [KNeighborsClassifier(k, metric="cosine").fit(x["train"], y["train"]) for k in (1, 5, 20)]
    return max(models, key=lambda model: model.score(x["val"], y["val"])).score(x["test"], y["test"])


def by_hand(x: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Give what some candidates should be, made anew with scikit-learn and numpy."""
    train = x["train"]
    pca = PCA(min(len(train) - 1, DIM), svd_solver="full").fit(train)
    along = {split: pca.transform(rows) for split, rows in x.items()}
    spread = np.sqrt(pca.explained_variance_ + 0.1 * pca.explained_variance_[0])
    low, step = train.min(axis=0), np.ptp(train, axis=0) / 255
    step[step == 0] = 1
    middle = np.median(train, axis=0)
    return {
        "reduce to 128": {split: rows[:, :128] for split, rows in along.items()},
        "whiten": {split: rows / spread for split, rows in along.items()},
        "quantize, 8 bits": {
            split: low + step * ((rows - low) / step).round().clip(0, 255) for split, rows in x.items()
        },
        "quantize, 1 bit": {split: np.where(rows > middle, 1.0, -1.0) for split, rows in x.items()},
    }


def problems(rows: list[dict], x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> list[str]:
    said = []
    for row in rows:
        dim = row["dim"] or min(len(y["train"]) - 1, DIM)
        if row["bytes"] != -(-dim * row["bits"] // 8):
            said.append(f"{row['name']}: {row['bytes']} bytes for {dim} numbers of {row['bits']} bits")
    named = {row["name"]: row["knn"]["value"] for row in rows}
    for name, made in by_hand({split: rows.astype(np.float64) for split, rows in x.items()}).items():
        expected = plain_knn(made, y)
        print(f"{name}: k-NN {100 * named[name]:.1f}, by scikit-learn and numpy {100 * expected:.1f}")
        if abs(expected - named[name]) > TOLERANCE:
            said.append(f"{name}: k-NN {named[name]}, by hand {expected}")
    return said


def draw(rows: list[dict], path: Path) -> None:
    """Draw accuracy and its interval against bytes: a column for each data set, a row for each probe."""
    import altair as alt
    import pandas as pd

    table = pd.DataFrame([_of_chart(row, probe) for row in rows for probe in PROBES])
    columns = [
        alt.vconcat(
            *(_panel(panel, f"{data}, {PROBES[probe]}") for probe, panel in of_data.groupby("probe", sort=False))
        )
        for data, of_data in table.groupby("data", sort=False)
    ]
    chart = alt.hconcat(*columns).configure_view(stroke=None).configure_axis(gridColor="#eeeeee", domain=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    chart.save(str(path))


def _of_chart(row: dict, probe: str) -> dict:
    percent = {name: 100 * value for name, value in row[probe].items()}
    beside = row["bytes"] * BESIDE.get(row["family"], 1)
    return {name: row[name] for name in ("data", "family", "point")} | {"probe": probe, "bytes": beside} | percent


def _panel(table: "pd.DataFrame", title: str) -> "alt.LayerChart":
    import altair as alt

    axis = alt.Axis(values=[2**power for power in range(1, 14, 2)], format="d", grid=False)
    scale = alt.Scale(type="log", base=2, domain=[0.6, 40_000], nice=False)
    color = alt.Color("family:N", scale=alt.Scale(domain=list(COLORS), range=list(COLORS.values())), legend=None)
    low, high = table["low"].min(), table["high"].max()
    bounds = alt.Scale(domain=[low - (high - low) / 10, min(100, high + 1)], nice=False)

    def layer(rows: "pd.DataFrame", y: str) -> "alt.Chart":
        x = alt.X("bytes:Q", title="bytes of an embedding", axis=axis, scale=scale)
        shown = alt.Y(f"{y}:Q", title="accuracy on test, %", scale=bounds)
        return alt.Chart(rows, title=title, width=470, height=320).encode(x=x, y=shown, color=color)

    under = table["family"].isin(["reduce", "reduce, 1 bit"])
    first = table.loc[table.groupby("family", sort=False)["bytes"].idxmin()]
    alone, above = first["family"].isin(ALONE), first["family"] == "reduce, 8 bits"
    return alt.layer(
        layer(table, "low").mark_rule(opacity=0.35).encode(y2="high:Q"),
        layer(table, "value").mark_line(strokeWidth=1.2, opacity=0.7),
        layer(table, "value").mark_point(filled=True, size=28, opacity=1),
        layer(table[under], "value").mark_text(dx=4, dy=9, align="left", fontSize=8.5).encode(text="point"),
        layer(table[~under], "value").mark_text(dx=4, dy=-6, align="left", fontSize=8.5).encode(text="point"),
        layer(first[above], "high").mark_text(dy=-8, fontWeight="bold").encode(text="family"),
        layer(first[~above & ~alone], "low").mark_text(dy=10, fontWeight="bold").encode(text="family"),
        layer(_apart(first[alone], bounds), "at")
        .mark_text(dx=14, align="left", fontWeight="bold")
        .encode(text="family"),
    )


def _apart(rows: "pd.DataFrame", bounds: "alt.Scale") -> "pd.DataFrame":
    """Give the rows with places for their names, no two of which overlap, right of the last of them."""
    gap, places = (bounds.domain[1] - bounds.domain[0]) / 25, []
    ordered = rows.sort_values("value")
    for value in ordered["value"]:
        places.append(max(value, places[-1] + gap) if places else value)
    return ordered.assign(at=places, bytes=ordered["bytes"].max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/compressed"))
    parser.add_argument("--chart", type=Path)
    asked = parser.parse_args()
    network = NETWORK.format(f'weights="{asked.weights.resolve()}"')
    listed = candidates(network)
    study = {
        "encoder": [one.spec for one in listed],
        "data": [f"folder:{path}" for path in asked.data],
        "out": asked.out,
    }
    runs = [ec.run(**study, task=list(PROBES)), ec.run(**study, task=[COST], batch_size=4)]
    failures = [failure for run in runs for failure in run.failures]
    assert not failures, failures
    records = [record for run in runs for record in run.records]
    every, wrong = [], []
    for path in asked.data:
        embedded = ec.embed(network, f"folder:{path}")
        x, y = ({split: getattr(z, part) for split, z in embedded.items()} for part in "xy")
        rows = rows_of(records, path, listed)
        print_table(rows, y)
        print()
        wrong += [f"{path.name}: {line}" for line in problems(rows, x, y)]
        every += rows
    if asked.chart:
        draw(every, asked.chart)
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
