"""Many small problems at once, one on each core, instead of all cores on each."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_MOST = 16  # each holds memory of its own


@contextlib.contextmanager
def one_core_each() -> Iterator[Callable[..., Iterator[Any]]]:
    """Within it, numpy's matrix products and decompositions use one thread; gives a `map` that runs calls side by side.

    A decomposition of some hundred rows gains little from a second thread, and loses much where another program holds
    the second core: its threads wait for each other at every step. As many calls run at once as numpy would use
    threads (OMP_NUM_THREADS and the like count). Results do not depend on how many.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(threads, _MOST)) as pool:
        yield pool.map
