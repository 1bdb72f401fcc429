"""Planted faults in real photographs: what `eyechart audit` finds of them, and what bursts do to a score.

    python acceptance/audit.py --data-folder FOLDER [--weights FILE] [--seeds N]

FOLDER holds train/<class>/* and val/<class>/* (imagenette-160). Everything is planted in copies, seeded:

* 20 images of train again in val or test, 15 as they are and 5 saved without loss as PNG;
* 20 more, encoded again (JPEG quality 30 to 90), scaled (0.5 to 1.5), cropped (up to 15 % of a side), made brighter or
  darker (0.75 to 1.25);
* 60 images of train under the label of another class;
* in another copy, 60 photographs four more times each as a burst: other crops and brightness.

Prints what was found and fails if a promise is broken: every exact copy at precision 1, 18 of 20 others at 0.9, three
times the base rate of wrong labels among the 60 most suspect, and bursts that raise k-NN under plain splits and not
under groups="auto". With --weights (MobileNetV2's) the same is reported for a real network beside the defaults.
"""

import argparse
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import eyechart as ec

NETWORK = 'timm:mobilenetv2_100(weights="{0}", size=224, crop_pct=0.875, interpolation="bicubic", '
NETWORK += 'mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), model_args={{"pad_type": "same"}})'
OFFLINE = ("hog", "hsv_histogram", "pixels")
PLANTED, FLIPPED, BURSTS, IN_BURST = 20, 60, 60, 4


def copied(source: Path, root: Path, rng: np.random.Generator) -> dict[str, list[Path]]:
    """Copy with stated splits: a fifth of train becomes val, val becomes test."""
    files = {"train": [], "val": [], "test": []}
    for kind in sorted((source / "train").iterdir()):
        paths = sorted(kind.glob("*.jpg"))
        held_out = set(rng.permutation(len(paths))[: len(paths) // 5].tolist())
        for number, path in enumerate(paths):
            split = "val" if number in held_out else "train"
            files[split].append(place(path, root / split / kind.name))
        files["test"] += [
            place(path, root / "test" / kind.name) for path in sorted((source / "val" / kind.name).glob("*"))
        ]
    return files


def place(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(path, folder / path.name))


def altered(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Crop, scale, brighten, encode again."""
    width, height = image.size
    cut = rng.uniform(0, 0.15, 2)
    left, top = rng.uniform(0, cut * (width, height))
    image = image.crop(
        (round(left), round(top), round(left + width * (1 - cut[0])), round(top + height * (1 - cut[1])))
    )
    scale = rng.uniform(0.5, 1.5)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    image = image.point(
        [min(255, round(level * gain)) for gain in [rng.uniform(0.75, 1.25)] for level in range(256)] * 3
    )
    written = io.BytesIO()
    image.save(written, "JPEG", quality=int(rng.integers(30, 91)))
    return written.getvalue()


def plant(files: dict[str, list[Path]], root: Path, rng: np.random.Generator) -> dict[str, set]:
    """Give the planted pairs and the flipped images, by id."""
    chosen = [files["train"][i] for i in rng.permutation(len(files["train"]))[: 2 * PLANTED + FLIPPED]]
    exact, near, flipped = set(), set(), set()
    for number, path in enumerate(chosen[: 2 * PLANTED]):
        folder = root / ("val" if number % 2 else "test") / path.parent.name
        image = Image.open(path).convert("RGB")
        if number < PLANTED - 5:
            copy = Path(shutil.copy(path, folder / f"copy_{number}.jpg"))
        elif number < PLANTED:
            copy = folder / f"copy_{number}.png"
            image.save(copy)
        else:
            copy = folder / f"other_{number}.jpg"
            copy.write_bytes(altered(image, rng))
        pair = frozenset(p.relative_to(root).as_posix() for p in (path, copy))
        (exact if number < PLANTED else near).add(pair)
    classes = sorted(path.name for path in (root / "train").iterdir())
    for path in chosen[2 * PLANTED :]:
        wrong = str(rng.choice([name for name in classes if name != path.parent.name]))
        moved = Path(shutil.move(path, root / "train" / wrong / path.name))
        flipped.add(moved.relative_to(root).as_posix())
    return {"exact": exact, "near": near, "flipped": flipped}


def pairs(several: tuple) -> set:
    return {
        frozenset((one.id, other.id))
        for same in several
        for i, one in enumerate(same.images)
        for other in same.images[:i]
    }


def faults(source: Path, work: Path, network: str | None, seed: int) -> list[str]:
    """Audit a copy with planted faults, and give the promises that are broken."""
    rng, root, broken = np.random.default_rng(seed), work / f"faults-{seed}", []
    planted = plant(copied(source, root, rng), root, rng)
    found = ec.audit(f"folder:{root}", cache_dir=work / "cache", write=work / f"fixes-{seed}.csv")
    print(f"\n{found}\n\n| planted | found | precision | promised |\n|---|---|---|---|")
    for kind, reported, least, precise in (("exact", found.exact, 20, 1.0), ("near", found.near, 18, 0.9)):
        named = pairs(reported)
        hits = len(named & planted[kind])
        precision = hits / max(1, len(named))
        print(f"| {kind} copies | {hits} of {PLANTED} | {precision:.3f} | {least} at {precise} |")
        broken += [] if hits >= least and precision >= precise else [f"{kind} copies"]
    asked = {"hog, hsv_histogram, pixels": found}
    if network:
        asked["these and MobileNetV2"] = ec.audit(f"folder:{root}", encoder=network, cache_dir=work / "cache")
    base = FLIPPED / sum(split.images for split in found.splits)
    for name, audit in asked.items():
        first = [one.image.id for one in audit.suspects[:60]]
        rate = sum(name in planted["flipped"] for name in first) / 60
        print(f"| wrong labels, {name} | {60 * rate:.0f} of the first 60 | {rate / base:.1f} x base rate | 3 x |")
        broken += [] if rate >= 3 * base else [f"wrong labels by {name}"]
    return broken


def bursts(source: Path, work: Path, network: str | None, seeds: int) -> list[str]:
    """Measure k-NN with and without bursts under both ways to draw splits, and give the promises that are broken."""
    rng, plain, burst = np.random.default_rng(7), work / "single", work / "bursts"
    for kind in sorted((source / "train").iterdir()):
        for path in sorted(kind.glob("*.jpg")):
            place(path, plain / kind.name)
            place(path, burst / kind.name)
    photographs = sorted(burst.glob("*/*.jpg"))
    for i in rng.permutation(len(photographs))[:BURSTS]:
        image = Image.open(photographs[i]).convert("RGB")
        for number in range(IN_BURST):
            photographs[i].with_name(f"{photographs[i].stem}_burst{number}.jpg").write_bytes(altered(image, rng))
    ways = {
        "no bursts": f"folder:{plain}(seed={{0}})",
        "bursts, plain splits": f"folder:{burst}(seed={{0}})",
        'bursts, groups="auto"': f'folder:{burst}(seed={{0}}, groups="auto")',
    }
    encoders = [*OFFLINE, *([network] if network else [])]
    scores = {way: accuracies(spec, encoders, seeds, work / f"way {n}") for n, (way, spec) in enumerate(ways.items())}
    return judged(scores, encoders)


def accuracies(spec: str, encoders: list[str], seeds: int, work: Path) -> np.ndarray:
    """k-NN on test, [seed, encoder]."""
    found = []
    for seed in range(seeds):
        asked = {"out": work / f"seed {seed}", "cache_dir": work.parent / "cache"}
        results = ec.run(encoder=encoders, data=[spec.format(seed)], task=["knn"], **asked)
        assert not results.failures, results.failures
        found.append([float(record_accuracy(record)) for record in results.records])
    return np.array(found)


def record_accuracy(record: ec.Record) -> float:
    chosen = [
        m for m in record.measures if m.metric == "accuracy" and m.facets["split"] == "test" and m.facets["selected"]
    ]
    return chosen[0].value


def judged(scores: dict[str, np.ndarray], encoders: list[str]) -> list[str]:
    base = scores["no bursts"]
    names = [name.partition("(")[0] for name in encoders]
    print(f"\nk-NN accuracy on test in percent, mean over {len(base)} draws of the splits\n")
    print(f"| | {' | '.join(names)} | mean change |\n|---|{'---|' * (len(names) + 1)}")
    broken = []
    for way, found in scores.items():
        change = (found - base).mean(axis=1)
        error = change.std(ddof=1) / np.sqrt(len(change))
        cells = " | ".join(f"{100 * value:.1f}" for value in found.mean(axis=0))
        print(f"| {way} | {cells} | {100 * change.mean():+.1f} +- {100 * error:.1f} |")
        low = change.mean() - 2 * error
        if way.endswith("plain splits") and low <= 0.02:
            broken.append("bursts raise k-NN under plain splits")
        if way.endswith('"auto"') and low > 0:
            broken.append('bursts raise nothing under groups="auto"')
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-folder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="MobileNetV2's, to ask a real network, too")
    parser.add_argument("--seeds", type=int, default=10, help="draws of the splits")
    asked = parser.parse_args()
    network = NETWORK.format(asked.weights.resolve()) if asked.weights else None
    with tempfile.TemporaryDirectory(prefix="eyechart-audit-") as folder:
        broken = faults(asked.data_folder, Path(folder), network, 0)
        broken += bursts(asked.data_folder, Path(folder), network, asked.seeds)
    print(f"\nbroken promises: {json.dumps(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
