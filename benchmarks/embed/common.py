"""What the benchmarks of embedding share: one core, photographs, and every way timed in a process of its own."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "probes"))

from timing import fair, interleaved, note, said

__all__ = ["apart", "fair", "note", "one_core", "photographs", "said"]

_HEIGHT, _WIDTH, _QUALITY = 375, 500, 85
_FALL = 1.2  # of amplitude with frequency, as in photographs


def one_core() -> None:
    """Keep this process and its threads on one core. Call it before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def photographs(folder: Path, n: int) -> Path:
    """Write n made-up photographs in two classes: 500 x 375 JPEG files, whose detail falls off as that of real ones."""
    rng = np.random.default_rng(0)
    far = np.hypot(np.fft.fftfreq(_HEIGHT)[:, None], np.fft.rfftfreq(_WIDTH)[None]) + 1 / _WIDTH
    for number in range(n):
        spectrum = rng.standard_normal((3, *far.shape)) + 1j * rng.standard_normal((3, *far.shape))
        waves = np.fft.irfft2(spectrum / far**_FALL, (_HEIGHT, _WIDTH))
        pixels = np.clip(128 + 50 * waves / waves.std(), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        path = folder / f"class{number % 2}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=_QUALITY)
    return folder


def apart(
    ways: Mapping[str, tuple[Callable[..., Callable[[], Any]], tuple[Any, ...]]], rounds: int
) -> dict[str, list[float]]:
    """Time ways in turns, each in a process of its own, so that none has the good of what another one set.

    A way is a function with its arguments that gives the work; the work is done once before it is timed.
    """
    context, workers = multiprocessing.get_context("spawn"), {}
    for name, (make, arguments) in ways.items():
        ours, theirs = context.Pipe()
        context.Process(target=_work, args=(theirs, make, arguments), daemon=True).start()
        workers[name] = ours
        ours.recv()  # warm, before the next one starts
    return interleaved({name: lambda worker=worker: _asked(worker) for name, worker in workers.items()}, rounds)


def _work(parent: Any, make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    work = make(*arguments)
    with contextlib.suppress(EOFError):  # of the last round, when nobody asks again
        while True:
            work()
            parent.send("done")
            parent.recv()


def _asked(worker: Any) -> None:
    worker.send("again")
    worker.recv()
