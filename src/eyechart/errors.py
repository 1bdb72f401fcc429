"""The errors a user can fix."""

import difflib
from collections.abc import Iterable


class EyechartError(Exception):
    """Something the user can fix. Its text is one line: what is wrong, what was got, what is allowed, how to fix it."""


class DiskFull(EyechartError):
    """Nothing more can be written: going on would only fail again."""


class Unavailable(EyechartError):
    """Data or weights that cannot be had here: where we looked, and how to get them."""


class NotHere(Unavailable):
    """Data or weights that can be had and are not here, met while nothing may be fetched (`settings.looking`)."""

    def __init__(self, text: str, megabytes: int | None = None) -> None:
        """Take the line, and how much is to be downloaded: None where that is not known, 0 where it needs unpacking."""
        super().__init__(text)
        self.megabytes = megabytes


def in_words(error: EyechartError | MemoryError) -> str:
    """Give the line for an error a user can fix; Python's own of memory says neither what happened nor what helps."""
    if isinstance(error, EyechartError):
        return str(error)
    said = str(error) or "more was asked for than there is"
    return f"out of memory: {said}. Smaller images, fewer of them (a limit) or a smaller batch size take less."


def near(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Give the known names that a misspelt one may have meant, the nearest first; capitals make no difference.

    >>> near("DINOV2_S41", ["dinov2_s14", "pixels"])
    ['dinov2_s14']
    """
    small = {one.lower(): one for one in known}
    return [small[one] for one in difflib.get_close_matches(name.lower(), small, n=n)]


def did_you_mean(name: str, known: Iterable[str], n: int = 3) -> str:
    """Give a question to end a line with, " Did you mean a or b?", or nothing where no known name is near."""
    found = near(name, known, n)
    return f" Did you mean {' or '.join(found)}?" if found else ""


def not_here(error: BaseException | None) -> NotHere | None:
    """Give the NotHere that an error is, or that led to it; None where something else is wrong."""
    while error is not None and not isinstance(error, NotHere):
        error = error.__cause__ or error.__context__
    return error
