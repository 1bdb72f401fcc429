"""Robustness of four encoders on one folder, killed half-way and gone on with, with every cell, summary and chart.

    python acceptance/robustness.py --data FOLDER --weights FILE [--out FOLDER]

FOLDER is a `folder:` data set, the weights are MobileNetV2's (see acceptance/real_images.py). The run is killed with
SIGKILL once half of the images have been embedded, the same command goes on, and a third one must compute nothing.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import eyechart as ec
from eyechart.images.corruptions.profiles import COMMON, EXTRA, SEVERITIES

NETWORK = 'timm:mobilenetv2_100({0}, size=224, crop_pct=0.875, interpolation="bicubic", mean=(0.5, 0.5, 0.5), '
NETWORK += 'std=(0.5, 0.5, 0.5), model_args={{"pad_type": "same"}})'
CELLS = {(name, severity) for name in (*COMMON, *EXTRA) for severity in SEVERITIES}
PROBES = {"knn", "linear"}


def stored(cache: Path) -> int:
    """Count the views of which the first shard is in the store."""
    return len({file.parent for file in cache.glob("embeddings/*/*/*.json")})


def killed(command: list[str], cache: Path, wanted: int) -> None:
    """Start a run and kill it with its threads when so many views are there."""
    with subprocess.Popen(command, start_new_session=True) as run:
        while stored(cache) < wanted:
            if run.poll() is not None:
                raise SystemExit(f"the run ended ({run.returncode}) before it could be killed")
            time.sleep(0.5)
        os.killpg(run.pid, signal.SIGKILL)
    print(f"killed with {stored(cache)} sets of embeddings in the store", flush=True)


def checked(out: Path, encoders: int) -> None:
    """Say what is there, and stop if something is not."""
    rows = ec.table([out])
    asked = rows[rows.task.str.startswith("robustness")]
    for encoder, mine in asked.groupby("encoder"):
        for probe in PROBES:
            of = mine[(mine.probe == probe) & mine.selected.eq(True)]
            cells = of[of.metric == "corruption_accuracy"]
            assert set(zip(cells.corruption, cells.severity.astype(int), strict=True)) == CELLS, encoder
            assert cells.low.notna().all()
            assert cells.high.notna().all()
            means = of[of.metric == "mean_corruption_accuracy"]
            sums = {row.average: row.value for row in means.itertuples() if isinstance(row.average, str)}
            clean = of[(of.metric == "accuracy") & (of.split == "test")].value.item()
            print(
                f"{encoder[:40]:40} {probe:6} clean {100 * clean:5.1f}, mean over 15 {100 * sums['common']:5.1f}, 16 "
                f"{100 * sums['prior']:5.1f}, 19 {100 * sums['all']:5.1f}",
                flush=True,
            )
    assert asked.encoder.nunique() == encoders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out")
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(asked.out or scratch)
        networks = [NETWORK.format(f'weights="{asked.weights}"'), NETWORK.format("pretrained=False")]
        encoders = [*networks, "hog(size=32, cells=4)", "pixels"]
        words = [word for encoder in encoders for word in ("--encoder", encoder)]
        limit = ["--limit", str(asked.limit)] if asked.limit else []
        command = [str(Path(sys.executable).with_name("eyechart")), "run", "robustness", "--data", asked.data, *words]
        command += ["--backend", "openvino", *limit, "--out", str(out / "run"), "--cache-dir", str(out / "cache")]
        killed(command, out / "cache", len(CELLS) * len(encoders) // 2)
        subprocess.run(command, check=True)
        checked(out / "run", len(encoders))
        start = time.perf_counter()
        again = subprocess.run(command, check=True, capture_output=True, text=True)
        assert " 0 computed" in again.stderr, again.stderr
        print(f"a second run computes nothing, in {time.perf_counter() - start:.1f} s")
        charts = ec.plot([out / "run"], out / "charts", format=["png", "svg", "pdf"])
        print(f"{len(charts)} charts; the report has {ec.report([out / 'run']).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
