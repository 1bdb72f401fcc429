import os
from pathlib import Path

import pytest

from eyechart import settings
from eyechart.settings import Settings, active, using
from samples import refuses


def test_without_flags_and_variables_the_defaults_hold(monkeypatch, tmp_path):
    monkeypatch.delenv("EYECHART_CACHE_DIR")
    monkeypatch.delenv("EYECHART_DATA_DIR")
    now = active()
    assert now == Settings()
    assert (now.device, now.precision, now.batch_size, now.workers, now.plugins) == ("auto", "auto", None, None, ())
    assert now.cache_dir == tmp_path / "home" / ".cache" / "eyechart"
    assert now.data == now.cache_dir / "data"


def test_the_cache_follows_the_desktop_standard(monkeypatch, tmp_path):
    monkeypatch.delenv("EYECHART_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert active().cache_dir == tmp_path / "xdg" / "eyechart"


def test_a_variable_beats_the_default_and_a_flag_beats_the_variable(monkeypatch):
    monkeypatch.setenv("EYECHART_WORKERS", "3")
    monkeypatch.setenv("EYECHART_PRECISION", "fp32")
    assert (active().workers, active().precision) == (3, "fp32")
    with using(workers=5) as flagged:
        assert (flagged.workers, flagged.precision) == (5, "fp32")
        assert active() == flagged
    assert active().workers == 3


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("EYECHART_BATCH_SIZE", "")
    assert active().batch_size is None


def test_an_inner_block_changes_only_what_it_names():
    with using(workers=2, batch_size=8), using(batch_size=4, workers=None) as inner:
        assert (inner.workers, inner.batch_size) == (2, 4)


def test_settings_end_with_their_block_even_after_an_error():
    with pytest.raises(KeyError), using(workers=7):
        raise KeyError
    assert active().workers is None


def test_folders_are_made_absolute_and_the_home_is_filled_in(tmp_path):
    with using(cache_dir="here", data_dir="~/there") as now:
        assert now.cache_dir == tmp_path / "here"
        assert now.data == tmp_path / "home" / "there"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with refuses("cache_dir", "notes.txt", "file"), using(cache_dir="notes.txt"):
        pass


def test_several_plugins_come_from_one_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("EYECHART_PLUGINS", os.pathsep.join(["a.py", "/b/c.py"]))
    assert active().plugins == (tmp_path / "a.py", Path("/b/c.py"))
    with using(plugins=["d.py"]) as now:
        assert now.plugins == (tmp_path / "d.py",)


@pytest.mark.parametrize("name", ["workers", "batch_size"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", 0, -3, 2.5])
def test_a_count_below_one_or_no_count_is_refused(name, value):
    with refuses(name, "whole number of 1 or more", str(value)), using(**{name: value}):
        pass


def test_a_bad_variable_is_refused_too(monkeypatch):
    monkeypatch.setenv("EYECHART_WORKERS", "lots")
    with refuses("workers", "'lots'"):
        active()


def test_a_precision_that_is_not_there_is_refused():
    with refuses("precision must be one of auto, fp32, bf16, fp16", "'fp8'"), using(precision="fp8"):
        pass


def test_decoding_threads_are_as_many_as_cores_but_at_most_eight(monkeypatch):
    monkeypatch.setattr(settings.os, "cpu_count", lambda: 64)
    assert active().decoders == 8
    monkeypatch.setattr(settings.os, "cpu_count", lambda: 2)
    assert active().decoders == 2
    with using(workers=12) as now:
        assert now.decoders == 12
