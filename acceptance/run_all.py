"""Run every proof (see each script's own page).

    python acceptance/run_all.py [--images FOLDER...] [--photos FOLDER] [--data-dir FOLDER] [--weights FILE]
        [--ukbench FOLDER --corridor FOLDER]

The folders of images are `folder:` data sets, of which the first is embedded and killed, and chosen for; photos are
those audit.py plants faults in; the data folder holds what pairing.py joins; the weights are MobileNetV2's;
ukbench and corridor are what retrieval.py searches.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--ukbench", type=Path)
    parser.add_argument("--corridor", type=Path)
    asked = parser.parse_args()
    weights = ["--weights", str(asked.weights)] if asked.weights else []
    proofs: list[list[str]] = [["unreadable.py"], ["wheel.py"], ["decisions.py"]]
    if asked.images:
        proofs += [["kill.py", "--data", str(asked.images[0])], ["full_disk.py", "--data", str(asked.images[0])]]
        proofs += [["choosing.py", "--data", str(asked.images[0]), *weights]]
        if asked.weights:
            proofs += [["real_images.py", "--data", *map(str, asked.images), *weights]]
            proofs += [["compressed.py", "--data", *map(str, asked.images), *weights]]
            proofs += [["robustness.py", "--data", str(asked.images[0]), *weights]]
    if asked.photos:
        proofs += [["audit.py", "--data-folder", str(asked.photos), *weights]]
        proofs += [["near_duplicates.py", "--images", str(asked.photos)]]
    if asked.data_dir and asked.weights:
        proofs += [["pairing.py", "--data-dir", str(asked.data_dir), *weights]]
    if asked.ukbench and asked.corridor and asked.weights:
        photographs = ["--ukbench", str(asked.ukbench), "--corridor", str(asked.corridor)]
        proofs += [["retrieval.py", *photographs, *weights]]
    failed = []
    for name, *arguments in proofs:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / name), *arguments], check=False).returncode:
            failed.append(name)
    said = ", ".join(failed) or "none"
    print(f"\n{len(proofs) - len(failed)} of {len(proofs)} proofs hold; failed: {said}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
