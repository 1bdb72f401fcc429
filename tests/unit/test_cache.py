"""Looking after the cache: strange folders, folders in use, files that vanish."""

import os
import shutil
import time
from pathlib import Path

import pytest

from eyechart import settings
from eyechart.embedding import cache, store
from eyechart.embedding.embed import embed
from eyechart.settings import using
from samples import mean_color, plain_encoder, toy


def unfinished(monkeypatch):
    """Leave a folder with one finished shard of three."""
    monkeypatch.setattr(store, "SHARD", 8)
    calls = []

    def forward(batch):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("stop")
        return mean_color(batch)

    with using(batch_size=8), pytest.raises(RuntimeError, match="stop"):
        embed(plain_encoder(forward=forward), toy(20))
    (folder,) = store.folders(settings.active().cache_dir)
    return folder


def test_a_strange_folder_in_the_cache_is_left_alone():
    embed(plain_encoder(), toy(20))
    (kept,) = cache.ls()
    notes = kept.folder.parent / "notes"
    notes.mkdir()
    assert [found.folder for found in cache.ls()] == [kept.folder]
    assert [intact for _, intact in cache.verify()] == [True]
    cache.gc(unused_days=0.0)
    assert notes.is_dir()
    assert not kept.folder.exists()


def test_a_list_of_contents_goes_with_the_last_embeddings_of_its_set():
    embed(plain_encoder(), toy(20))
    embed(plain_encoder(key="other"), toy(20))
    embed(plain_encoder(), toy(12))
    lists = Path(settings.active().cache_dir) / "contents"
    assert [path.name.partition("-")[0] for path in sorted(lists.iterdir())] == ["12", "20"]
    one, other = (kept.folder for kept in cache.ls() if kept.images == 20)
    shutil.rmtree(one)
    assert cache.gc() == []
    assert len(list(lists.iterdir())) == 2
    shutil.rmtree(other)
    assert cache.gc() == []
    assert [path.name.partition("-")[0] for path in lists.iterdir()] == ["12"]


def test_a_folder_that_a_run_may_be_working_on_stays(monkeypatch):
    folder = unfinished(monkeypatch)
    assert cache.gc(unused_days=0.0) == []
    assert folder.is_dir()
    os.utime(folder, (time.time() - 7200,) * 2)
    assert [kept.state for kept in cache.gc(unused_days=0.0)] == ["unfinished"]
    assert not folder.exists()


def test_what_vanishes_while_it_is_looked_at_is_no_error(monkeypatch):
    shard, real = unfinished(monkeypatch) / "00000.npy", Path.iterdir

    def joined_meanwhile(folder):
        names = list(real(folder))
        shard.unlink(missing_ok=True)
        return names

    monkeypatch.setattr(Path, "iterdir", joined_meanwhile)
    assert [kept.state for kept in cache.ls()] == ["unfinished"]

    def removed_meanwhile(folder):
        shutil.rmtree(folder)
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", removed_meanwhile)
    assert cache.ls() == []
