"""Run every proof: `python acceptance/run_all.py --images FOLDER... --weights FILE` (see each script's own page)."""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, nargs="+", help="folders of images; the first is embedded and killed")
    parser.add_argument("--weights", type=Path, help="MobileNetV2's weights for real_images.py")
    asked = parser.parse_args()
    proofs: list[list[str]] = [["unreadable.py"], ["wheel.py"], ["decisions.py"]]
    if asked.images:
        proofs += [["kill.py", "--data", str(asked.images[0])], ["full_disk.py", "--data", str(asked.images[0])]]
        if asked.weights:
            folders = [str(path) for path in asked.images]
            proofs += [["real_images.py", "--data", *folders, "--weights", str(asked.weights)]]
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
