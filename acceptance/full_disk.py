"""A disk that fills up in the middle of an embedding run: one clear line, nothing corrupt, and on it goes with room.

    sudo python acceptance/full_disk.py --data FOLDER

Mounts a small memory file system (this needs root), embeds into it until it is full, checks what is left, makes room,
and goes on.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ENCODER = "pixels(size=64)"  # 48 kB for each image


def embed(data: Path, cache: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "eyechart", "embed", "--encoder", ENCODER, "--data", str(data)]
    return subprocess.run([*command, "--cache-dir", str(cache)], capture_output=True, text=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    cache = Path(tempfile.mkdtemp(prefix="eyechart-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(cache)], check=True)
    try:
        full = embed(asked.data, cache)
        said = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
        print(f"exit code {full.returncode}: {said}")
        left = [path.name for path in cache.rglob("*") if ".tmp-" in path.name]
        shards = len(list(cache.rglob("[0-9]*.json")))
        print(f"temporary files left: {len(left)}; finished shards kept: {shards}")
        subprocess.run(["mount", "-o", "remount,size=1g", str(cache)], check=True)
        again = embed(asked.data, cache)
        print(f"with room: exit code {again.returncode}")
        checked = [sys.executable, "-m", "eyechart", "cache", "verify", "--cache-dir", str(cache)]
        intact = subprocess.run(checked, capture_output=True, text=True, check=False)
        print(intact.stderr.strip())
    finally:
        subprocess.run(["umount", str(cache)], check=True)
        cache.rmdir()
    ok = full.returncode == 2 and len(said) == 1 and "disk is full" in said[0] and "Traceback" not in full.stderr
    return int(not (ok and not left and shards and again.returncode == 0 and intact.returncode == 0))


if __name__ == "__main__":
    sys.exit(main())
