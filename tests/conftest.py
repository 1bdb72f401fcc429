"""Every test runs in a folder and with a cache of its own, without a network and without the user's settings."""

import os
import sys

# Read when the hub's client is imported: no test may wait for a network, or find what someone downloaded.
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"}
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers are the threads: more of them would wait for one another
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import hypothesis
import numpy as np
import pytest

from eyechart import cli
from eyechart.embedding import fill
from eyechart.probes import proposals

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=30)
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("EYECHART_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("EYECHART_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("EYECHART_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def eyechart(monkeypatch, capsys):
    """Run a command in this process; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eyechart", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def forwards(monkeypatch):
    """The batch sizes of every forward pass that eyechart makes."""
    made: list[int] = []
    real = fill.forward

    def counted(encoder, batch):
        made.append(len(batch))
        return real(encoder, batch)

    monkeypatch.setattr(fill, "forward", counted)
    return made


@pytest.fixture
def made_ready(monkeypatch):
    """The number of rows of each block of a database that is made ready for a product."""
    made, real = [], proposals.side

    def side(where, raw, precision, *, query):
        if not query:
            made.append(len(raw))
        return real(where, raw, precision, query=query)

    monkeypatch.setattr(proposals, "side", side)
    return made


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def write_plugin(tmp_path):
    """A function that writes a plugin file and gives its path."""

    def write(text, name="mine.py"):
        path = tmp_path / "plugins" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
