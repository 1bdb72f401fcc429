"""Progress of long work: a bar on a terminal, a plain line every ten seconds elsewhere. Always on stderr."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("eyechart")
_EVERY = 10.0


@contextlib.contextmanager
def progress(what: str, total: int, unit: str = "images") -> Iterator[Callable[[int], None]]:
    """Give a function that is told how much was done since it was last told."""
    if sys.stderr.isatty():
        with _bar(what, total, unit) as advance:
            yield advance
    else:
        yield _lines(what, total, unit)


@contextlib.contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.1f} " + unit + "/s")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        rate,
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate=0.0)

        def advance(done: int) -> None:
            finished = bar.tasks[task].completed + done
            bar.update(task, advance=done, rate=finished / max(time.monotonic() - start, 1e-9))

        yield advance


def _lines(what: str, total: int, unit: str) -> Callable[[int], None]:
    start = last = time.monotonic()
    finished = 0

    def advance(done: int) -> None:
        nonlocal last, finished
        finished += done
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            rate = finished / (now - start)
            log.info(
                "%s: %d of %d %s, %.1f %s/s, %.0f s left",
                what,
                finished,
                total,
                unit,
                rate,
                unit,
                (total - finished) / rate,
            )

    return advance
