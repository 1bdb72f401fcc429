"""What is kept away from a plugin while it is checked: the network, and the global random generators."""

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from eyechart.conformance.findings import Broken


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Answer every look-up of a host as a machine without a network does: checking a plugin downloads nothing."""

    def refused(host: Any, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_FAIL, f"no network while plugins are checked, so {host} cannot be reached")

    real, socket.getaddrinfo = socket.getaddrinfo, refused
    try:
        yield
    finally:
        socket.getaddrinfo = real


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[Callable[[], list[str]]]:
    """Seed the global generators for a block, and put them back as they were after it.

    Gives a function that names the generators which were drawn from, or seeded, since the block began.
    """
    import torch

    legacy = np.random  # the old global functions are what is watched here
    before = random.getstate(), legacy.get_state(), torch.get_rng_state()
    random.seed(seed)
    legacy.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        with _watched(seed) as python:
            start = _states(python)
            yield lambda: [name for name, state in _states(python).items() if state != start[name]]
    finally:
        random.setstate(before[0])
        legacy.set_state(before[1])
        torch.set_rng_state(before[2])


@contextlib.contextmanager
def _watched(seed: int) -> Iterator[Callable[[], str]]:
    """Let the functions of Python's random draw from a generator that nothing else uses, and give its state.

    In our own test run the type checks draw from the original (which item of a list to look at), so there only what
    calls `random.f()` is seen. Elsewhere the original is watched too, for plugins that say `from random import f`.
    """
    ours = random.Random(seed)
    original = random.shuffle.__self__  # pyright: ignore[reportFunctionMemberAccess]
    functions = {name: value for name, value in vars(random).items() if getattr(value, "__self__", None) is original}
    watched = [ours] if hasattr(_states, "__wrapped__") else [ours, original]
    for name in functions:
        setattr(random, name, getattr(ours, name))
    try:
        yield lambda: repr([generator.getstate() for generator in watched])
    finally:
        for name, value in functions.items():
            setattr(random, name, value)


def _states(python: Callable[[], str]) -> dict[str, str]:
    import torch

    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    place = (legacy["state"]["key"].tobytes(), legacy["state"]["pos"], legacy["has_gauss"])
    return {
        "Python's random": python(),
        "np.random": repr(place),
        "torch's global generator": repr(torch.get_rng_state().numpy().tobytes()),
    }


def refuse_touched(touched: list[str], instead: str) -> str:
    """Say that no global generator was touched, or raise Broken with what to use instead."""
    if touched:
        raise Broken(f"{' and '.join(touched)} was drawn from or seeded; {instead}.")
    return "the global generators of Python, numpy and torch were left alone"
