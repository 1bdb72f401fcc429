"""What a user fetches before the network goes, on the command line."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

import eyechart.datasets.cifar10 as cifar10_module
from archives import cifar10_images, md5, serving, tar_of, write_cifar10
from eyechart import fetching
from eyechart.datasets import _download
from samples import refused, run_python

EYECHART = "import sys; sys.argv[0] = 'eyechart'; from eyechart.cli import main; main()"
PER_FILE = 20


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """CIFAR-10, small, at the address of a server on this machine; gives what was asked for."""
    made = write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", cifar10_images(PER_FILE))
    content = tar_of(made)
    shutil.rmtree(made)
    monkeypatch.setattr(cifar10_module, "PER_FILE", PER_FILE)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setattr(fetching, "_SETTLED", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(content) as (address, asked):
        values = vars(cifar10_module.ARCHIVE) | {"url": f"{address}/cifar-10-binary.tar.gz", "checksum": md5(content)}
        monkeypatch.setattr(cifar10_module, "ARCHIVE", _download.Archive(**values))
        yield asked


def test_what_is_fetched_is_used_by_a_run_without_a_network(cifar10, eyechart):
    code, out, err = eyechart("download", "--data", "cifar10", "--encoder", "pixels")
    assert code == 0, err
    assert out.splitlines() == [
        "ok            data    cifar10 (170 MB, no license stated)",
        "already there encoder pixels",
    ]
    assert "1 ok, 1 already there" in err
    assert eyechart("run", "--data", "cifar10", "--encoder", "pixels", "--task", "knn(k=1)")[0] == 0
    assert len(cifar10) == 1


def test_a_dry_run_says_what_would_be_fetched(cifar10, eyechart, tmp_path):
    code, out, err = eyechart("download", "--data", "cifar10", "--encoder", "dinov2_s14", "--dry-run")
    assert code == 0
    assert "to download   data    cifar10 (170 MB, no license stated): not here yet" in out
    assert "to download   encoder dinov2_s14 (88 MB, Apache-2.0)" in out
    assert "at most 258 MB to download" in err
    assert not (tmp_path / "data").exists()


def test_some_that_fail_are_named_and_the_exit_code_says_so(eyechart):
    code, out, err = eyechart("download", "--data", "digits", "--data", "imagenet")
    assert code == 1
    assert out.splitlines()[0] == "already there data    digits (CC BY 4.0)"
    assert out.splitlines()[1].startswith("failed        data    imagenet (for research): there is no folder")
    assert "1 already there, 1 failed" in err


def test_where_nothing_can_be_had_the_exit_code_is_another(eyechart):
    assert eyechart("download", "--data", "imagenet")[0] == 2


def test_a_misspelt_name_is_a_users_error(eyechart):
    refused(eyechart("download", "--data", "cifar11"), "cifar11", "Did you mean cifar10")
    refused(eyechart("download", "chose"), "Did you mean choose")


def test_the_outcome_as_json(eyechart):
    code, out, _ = eyechart("download", "--data", "ukbench", "--encoder", "pixels", "--json")
    assert code == 1
    assert [(one["kind"], one["name"], one["state"]) for one in json.loads(out)] == [
        ("data", "ukbench", "failed"),
        ("encoder", "pixels", "already there"),
    ]


def test_data_go_where_they_are_told_to(cifar10, eyechart):
    assert eyechart("download", "--data", "cifar10", "--data-dir", "there")[0] == 0
    assert Path("there/cifar-10-batches-bin/test_batch.bin").is_file()


# -- the hub ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def hub(files=()):
    """A hub on this machine: it has some files, and asks for a license for all others."""
    commit = "0" * 40
    held = dict(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, *, body):
            content = held.get(self.path, b"")
            self.send_response(200 if self.path in held or self.path == "/" else 401)
            if self.path in held:
                self.send_header("X-Repo-Commit", commit)
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            else:
                self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def log_message(self, format, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_weights_are_fetched_once_and_then_need_no_hub(tmp_path):
    import timm
    from safetensors.torch import save

    weights = save(timm.create_model("test_vit").state_dict())
    home = {"HF_HOME": tmp_path / "hf", "HF_HUB_OFFLINE": "0", "no_proxy": "127.0.0.1"}
    with hub({"/timm/test_vit.r160_in1k/resolve/main/model.safetensors": weights}) as address:
        fetch = ("download", "--encoder", "timm:test_vit.r160_in1k", "--encoder", "dinov3_s16")
        done = run_python(EYECHART, *fetch, HF_ENDPOINT=address, **home)
    assert done.returncode == 1, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "ok            encoder timm:test_vit.r160_in1k"
    assert second.startswith("failed        encoder dinov3_s16 (86 MB, DINOv3-License): the weights of timm:vit_small")
    assert "accept the license at https://huggingface.co/timm/vit_small_patch16_dinov3.lvd1689m and log in" in second
    asked = ("run", "--encoder", "timm:test_vit.r160_in1k", "--limit", "20", "--task", "knn(k=1)")
    done = run_python(EYECHART, *asked, HF_ENDPOINT="http://127.0.0.1:9", **home)
    assert done.returncode == 0, done.stderr


# -- a run that is not made, and a data set that is shown --------------------------------------------------------------


def test_a_dry_run_of_a_study_says_a_reason_once(cifar10, eyechart):
    asked = ("run", "--data", "cifar10", *("--encoder", "pixels", "--encoder", "noise"))
    code, out, err = eyechart(*asked, "--task", "knn(k=1)", "--task", "linear", "--dry-run")
    assert code == 0
    assert out.count("to download") == 4
    assert "nor what is not here yet" in out
    said = [line for line in err.splitlines() if "170 MB will be downloaded" in line]
    assert len(said) == 1
    assert said[0].startswith("knn(k=(1,)) on cifar10 with pixels and 3 more: not here yet: ")
    cells = json.loads(eyechart(*asked, "--task", "knn(k=1)", "--dry-run", "--json")[1])
    assert ["170 MB" in cell["reason"] for cell in cells] == [True, True]
    assert cifar10 == []


def test_showing_a_data_set_downloads_nothing(cifar10, eyechart):
    code, out, _ = eyechart("show", "dataset", "cifar10")
    assert code == 0
    assert "get_it: eyechart download --data cifar10" in out
    assert "license: no license stated" in out
    assert cifar10 == []


def test_clearing_the_cache_looks_into_the_data_folder(eyechart, tmp_path):
    (tmp_path / "there").mkdir()
    begun = tmp_path / "there" / ".partial-a.tar"
    begun.write_bytes(bytes(2**20))
    asked = ("cache", "gc", "--unused-days", "0", "--data-dir", tmp_path / "there")
    eyechart(*asked)
    assert begun.exists()  # it may still come

    os.utime(begun, (0, 0))
    code, _, err = eyechart(*asked)
    assert (code, "freed 1.0 MiB" in err) == (0, True)
    assert not begun.exists()
