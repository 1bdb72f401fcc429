"""Progress of long work: a bar on a terminal, a plain line every ten seconds elsewhere. Always on stderr."""

import contextlib
import dataclasses
import datetime
import logging
import sys
import time
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

log = logging.getLogger("eyechart")
_EVERY = 10.0


@runtime_checkable
class Advance(Protocol):
    """Is told how much was done since it was last told."""

    def __call__(self, done: int, *, fresh: bool = True) -> None:
        """Add to what is done; what was there already is not `fresh` and says nothing of the speed."""
        ...


@contextlib.contextmanager
def progress(what: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """Give a function that is told how much was done since it was last told."""
    if sys.stderr.isatty():
        with _bar(what, total, unit) as advance:
            yield advance
    else:
        yield _lines(what, total, unit)


@dataclasses.dataclass
class _Pace:
    """How far the work is, and how fast what was really done went."""

    total: int
    start: float
    finished: int = 0
    fresh: int = 0

    def add(self, done: int, fresh: bool) -> None:
        self.finished += done
        self.fresh += done if fresh else 0

    @property
    def rate(self) -> float:
        return self.fresh / max(time.monotonic() - self.start, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds, or None while nothing tells the speed."""
        return max(0, self.total - self.finished) / self.rate if self.fresh > 0 else None


@contextlib.contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} " + unit + "/s"),
        TextColumn("{task.fields[left]}"),  # rich's own column would take what was stored already for speed
    )
    pace = _Pace(total, time.monotonic())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate=0.0, left="-:--:--")

        def advance(done: int, *, fresh: bool = True) -> None:
            pace.add(done, fresh)
            left = "-:--:--" if pace.left is None else str(datetime.timedelta(seconds=round(pace.left)))
            bar.update(task, completed=pace.finished, rate=pace.rate, left=left)

        yield advance


def _lines(what: str, total: int, unit: str) -> Advance:
    pace = _Pace(total, time.monotonic())
    last = pace.start

    def advance(done: int, *, fresh: bool = True) -> None:
        nonlocal last
        pace.add(done, fresh)
        now = time.monotonic()
        if now - last < _EVERY:
            return
        last = now
        left = pace.left
        speed = "" if left is None else f", {pace.rate:.1f} {unit}/s, {left:.0f} s left"
        log.info("%s: %d of %d %s%s", what, pace.finished, total, unit, speed)

    return advance
