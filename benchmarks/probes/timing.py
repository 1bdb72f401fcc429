"""Timing of several ways to do one thing, interleaved, and how it is said."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

SLOW = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fair() -> None:
    """Start this process again without settings that slow numpy, and with it scikit-learn, down."""
    if any(name in os.environ for name in SLOW):
        kept = {name: value for name, value in os.environ.items() if name not in SLOW}
        os.execve(sys.executable, [sys.executable, *sys.argv], kept)


def interleaved(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Time every way once in each round, so that a slow minute of the machine slows all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
            note(f"round {number + 1} of {rounds}: {name}: {seconds[name][-1]:.2f} s")
    return seconds


def note(line: str) -> None:
    """Say on stderr how far the work is."""
    print(line, file=sys.stderr, flush=True)


def said(name: str, seconds: list[float], *, ours: list[float] | None = None, more: str = "") -> str:
    """Give a line: median and range in seconds, and how many times as long as ours (median of the rounds' ratios)."""
    line = f"{name:<46} {statistics.median(seconds):8.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"
    if ours is not None:
        ratios = [theirs / mine for theirs, mine in zip(seconds, ours, strict=False)]
        line += f"  {statistics.median(ratios):6.2f} x ours"
    return f"{line}  {more}".rstrip()
