"""The built wheel in an empty environment, without the clone: `eyechart run` works offline.

python acceptance/wheel.py [--python PYTHON]

Builds the wheel, makes an environment, installs the wheel with the pinned requirements, and runs in an empty folder
with the hub out of reach.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eyechart-wheel-") as folder:
        home, work = Path(folder), Path(folder) / "work"
        work.mkdir()
        subprocess.run([sys.executable, "-m", "build", "--wheel", "-q", "--outdir", home, ROOT], check=True)
        (wheel,) = home.glob("*.whl")
        subprocess.run([asked.python, "-m", "venv", home / "venv"], check=True)
        pip = [home / "venv/bin/pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", ROOT / "requirements/run.txt", wheel], check=True)
        offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(home / "cache")}
        codes = []
        for what in ("first", "second"):
            began = time.monotonic()
            done = subprocess.run([home / "venv/bin/eyechart", "run"], cwd=work, env=os.environ | offline, check=False)
            print(f"{wheel.name}, {what} run: exit code {done.returncode}, {time.monotonic() - began:.1f} s")
            codes.append(done.returncode)
        report = (work / "runs/quickstart/report.html").exists()
    return int(any(codes) or not report)


if __name__ == "__main__":
    sys.exit(main())
