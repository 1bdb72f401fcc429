"""Progress: what was stored already says nothing of the speed."""

import logging

import pytest

from eyechart import progress as module
from eyechart.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_speed_and_time_left_come_from_what_was_really_done(clock, caplog):
    with caplog.at_level(logging.INFO, "eyechart"), progress("toys", 1000) as advance:
        advance(900, fresh=False)
        clock[0] = 10.0
        advance(10)
    assert said(caplog) == ["toys: 910 of 1000 images, 1.0 images/s, 90 s left"]


def test_after_ten_seconds_in_which_nothing_was_done_there_is_a_line_without_a_speed(clock, caplog):
    with caplog.at_level(logging.INFO, "eyechart"), progress("toys", 100) as advance:
        clock[0] = 11.0
        advance(0)
        clock[0] = 22.0
        advance(50, fresh=False)
    assert said(caplog) == ["toys: 0 of 100 images", "toys: 50 of 100 images"]


def test_the_bar_of_a_terminal_shows_the_same(clock, monkeypatch):
    shown = {}
    monkeypatch.setattr("rich.progress.Progress.update", lambda bar, task, **fields: shown.update(fields))
    with module._bar("toys", 1000, "images") as advance:
        advance(900, fresh=False)
        assert shown["left"] == "-:--:--"
        clock[0] = 10.0
        advance(10)
    assert shown == {"completed": 910, "rate": 1.0, "left": "0:01:30"}
