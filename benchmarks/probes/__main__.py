"""Every benchmark of the probes: the linear probe, its grid, k-NN, few-shot, and peak memory.

    python benchmarks/probes [--faiss PYTHON] [--folder DIR] [--rounds 7]

PYTHON is an interpreter that can import faiss (see knn.py). Memory is measured only if DIR is given (see memory.py).
Nothing else should run meanwhile. Where there is a GPU, gpu.py is run apart.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faiss", metavar="PYTHON")
    parser.add_argument("--folder", metavar="DIR")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    rounds = ["--rounds", str(asked.rounds)]
    work = [
        ["knn.py", *rounds, *(["--faiss", asked.faiss] if asked.faiss else [])],
        ["fewshot.py", *rounds],
        ["linear.py", *rounds],
        ["linear.py", "--grid", *rounds],
    ]
    if asked.folder:
        work.append(["memory.py", "--folder", asked.folder])
    for name, *arguments in work:
        print(f"== {' '.join([name, *arguments])}", flush=True)
        subprocess.run([sys.executable, str(HERE / name), *arguments], check=True)


if __name__ == "__main__":
    main()
