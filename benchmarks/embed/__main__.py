"""Every benchmark of embedding: networks and JPEG beside timm and torchvision, keys, and embed beside its own network.

    python benchmarks/embed [--folder FOLDER] [--rounds 7]

FOLDER holds JPEG files in one folder per class; without it photographs are made up. Nothing else should run meanwhile.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    rounds, folder = ["--rounds", str(asked.rounds)], ["--folder", asked.folder] if asked.folder else []
    for name, *arguments in (["jpeg.py", *folder, *rounds], ["networks.py", *folder, *rounds], ["keys.py"]):
        print(f"== {' '.join([name, *arguments])}", flush=True)
        subprocess.run([sys.executable, str(HERE / name), *arguments], check=True)


if __name__ == "__main__":
    main()
