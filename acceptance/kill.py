"""kill -9 at random moments of an embedding run, then go on: the same bytes, no finished shard embedded twice.

    python acceptance/kill.py --data FOLDER [--kills 10] [--seed 0]

Runs `eyechart embed` once undisturbed, then over and over with a kill at a random moment, and compares the stored bytes
whenever it got through. Finished shards are watched from outside: their time of change must not move. Last, two
processes work on the same cell at once.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENCODER = "timm:vit_tiny_patch16_224(pretrained=False, size=64)"


def start(data: Path, cache: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "eyechart", "embed", "--encoder", ENCODER, "--data", str(data)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, "--cache-dir", str(cache), "--batch-size", "32"], **quiet)


def stored(cache: Path) -> dict[str, str]:
    paths = sorted((cache / "embeddings").glob("*/*/x.npy"))
    return {f"{p.parent.parent.name}/{p.parent.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def finished(cache: Path) -> dict[str, int]:
    """The shards that count, with their time of change."""
    states = (cache / "embeddings").glob("*/*/[0-9]*.json")
    found = {}
    for path in states:
        try:
            found[str(path.with_suffix(".npy"))] = path.with_suffix(".npy").stat().st_mtime_ns
        except FileNotFoundError:  # joined in this very moment
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="eyechart-kill-"))
    began = time.monotonic()
    assert start(asked.data, folder / "calm").wait() == 0
    whole = time.monotonic() - began
    print(f"undisturbed: {whole:.1f} s, {len(stored(folder / 'calm'))} sets of embeddings")

    kept, kills, redone = {}, 0, 0
    calm, same = stored(folder / "calm"), True
    while kills < asked.kills:
        if len(stored(folder / "killed")) == len(calm):  # it got through: begin again, so that every kill interrupts
            same &= stored(folder / "killed") == calm
            shutil.rmtree(folder / "killed")
            kept = {}
        running = start(asked.data, folder / "killed")
        time.sleep(rng.uniform(0.2, 0.7) * whole)
        running.send_signal(signal.SIGKILL)
        running.wait()
        kills += 1
        now = finished(folder / "killed")
        redone += sum(kept.get(path, changed) != changed for path, changed in now.items())
        kept |= now
        print(f"kill {kills}: {len(now)} shards are finished, {len(stored(folder / 'killed'))} sets complete")
    assert start(asked.data, folder / "killed").wait() == 0
    same &= stored(folder / "killed") == calm
    left = [p.name for p in (folder / "killed" / "embeddings").rglob("*") if p.suffix in {".lock", ".json"}]
    print(f"after {kills} kills: same bytes: {same}; finished shards embedded again: {redone}")
    print(f"files besides x.npy: {sorted(set(left))}")

    both = [start(asked.data, folder / "two") for _ in range(2)]
    codes = [process.wait() for process in both]
    alike = stored(folder / "two") == calm
    print(f"two at once: exit codes {codes}, same bytes: {alike}")
    shutil.rmtree(folder)
    return int(not (same and alike and redone == 0 and codes == [0, 0]))


if __name__ == "__main__":
    os.environ.pop("OPENBLAS_CORETYPE", None)
    sys.exit(main())
