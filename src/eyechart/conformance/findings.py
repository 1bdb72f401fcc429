"""What a check found, and how a check is run so that nothing a plugin does can stop the others."""

import dataclasses
import traceback
from collections.abc import Callable

from eyechart.errors import EyechartError, Unavailable


@dataclasses.dataclass(frozen=True)
class Finding:
    """One promise, whether the plugin keeps it, and in one line what was seen or how to mend it."""

    name: str
    passed: bool
    detail: str
    skipped: bool = False  # nothing could be looked at here, such as data that are not on this machine


class Broken(Exception):
    """A promise that is not kept. Its text is one line: what was seen, and how to mend it."""


def attempt(name: str, look: Callable[[], str]) -> Finding:
    """Run one check: it returns what it saw, or raises. Whatever it raises becomes a finding.

    >>> attempt("sums", lambda: "2 + 2 is 4").passed
    True
    """
    try:
        return Finding(name, True, look())
    except Unavailable as error:
        return Finding(name, True, f"skipped: {_line(error)}", skipped=True)
    except (Broken, EyechartError) as error:
        return Finding(name, False, _line(error))
    except (Exception, SystemExit) as error:  # a plugin's code may raise anything
        return Finding(name, False, f"{type(error).__name__}: {_line(error)} ({_where(error)})")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:600] or "no message"


def _where(error: BaseException) -> str:
    """Name the innermost line that is no library's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}"
