"""The errors a user can fix."""


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


def not_here(error: BaseException | None) -> NotHere | None:
    """Give the NotHere that an error is, or that led to it; None where something else is wrong."""
    while error is not None and not isinstance(error, NotHere):
        error = error.__cause__ or error.__context__
    return error
