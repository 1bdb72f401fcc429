"""The errors a user can fix."""


class EyechartError(Exception):
    """Something the user can fix. Its text is one line: what is wrong, what was got, what is allowed, how to fix it."""


class DiskFull(EyechartError):
    """Nothing more can be written: going on would only fail again."""


class Unavailable(EyechartError):
    """Data or weights that cannot be had here: where we looked, and how to get them."""
