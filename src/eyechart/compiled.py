"""Loops compiled by numba. Imported only where there are some, since numba takes a moment."""

import inspect
from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Any = None, *, parallel: bool = False, fastmath: Any = False) -> Any:
    """Compile a function when it is first called, keep the result on disk, and run it without Python's lock.

    Without `fastmath` sums keep their order, and no multiplication is fused with an addition: same numbers anywhere.
    """
    if function is None:
        with_options: Callable[[Any], Any] = lambda later: compiled(later, parallel=parallel, fastmath=fastmath)  # noqa: E731
        return with_options
    plain = inspect.unwrap(function)  # without the type checks of the tests
    return numba.njit(plain, cache=True, nogil=True, parallel=parallel, error_model="numpy", fastmath=fastmath)
