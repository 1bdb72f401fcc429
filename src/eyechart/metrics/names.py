"""What each metric means: its unit, range and direction, from names.toml."""

import functools
import tomllib
from pathlib import Path
from typing import Any


@functools.cache
def metrics() -> dict[str, dict[str, Any]]:
    """Give every metric with its meaning, unit, range and direction."""
    with Path(__file__).with_name("names.toml").open("rb") as file:
        return tomllib.load(file)
