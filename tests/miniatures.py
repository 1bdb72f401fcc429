"""Small data sets in their true layout: packed, damaged, and with what is published of them set to what they are."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from archives import md5, tar_of, write_jpegs, zip_of
from eyechart import settings
from eyechart.conformance.datasets import check_dataset
from eyechart.datasets import _download
from eyechart.registry import bind

NOWHERE = "http://127.0.0.1:9"  # the port of a service that nobody runs: a connection is refused at once


def opened(spec):
    """The data set of a spec."""
    return bind("datasets", spec).call()


def sizes(data):
    return {split: len(images) for split, images in data.items()}


def named(images):
    """The id and the class of each image."""
    return [(name, images.classes[label]) for name, label in zip(images.ids, images.labels, strict=True)]


def assert_pixels_are_those_of(root, images):
    for row, name in enumerate(images.ids):
        assert np.array_equal(images.load(row), np.asarray(Image.open(Path(root) / name).convert("RGB"))), name


def assert_conforms(spec):
    """Expect what conformance asks of every data set, of this one as small as it is."""
    findings = check_dataset(bind("datasets", spec), spec)
    assert len(findings) > 1, findings
    assert all(finding.passed and not finding.skipped for finding in findings), findings


def write_lines(path, *lines):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_imagenet_c(root, classes, cells, seed=1):
    """Write ImageNet-C's folders: of each cell (a corruption and a severity) an image under each clean one's name.

    `classes` gives the class of each file's name.
    """
    names = [f"{name}/{severity}/{wnid}/{file}" for name, severity in cells for file, wnid in classes.items()]
    return write_jpegs(root, names, seed=seed)


def offline(monkeypatch, module, *names):
    """Let the addresses of some archives and files answer nothing."""
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in names:
        _replace(monkeypatch, module, name, url=f"{NOWHERE}/{getattr(module, name).url.rpartition('/')[2]}")


def accept(monkeypatch, module, name):
    """Let the file that lies in the data folder be the published one."""
    path = settings.active().data / getattr(module, name).path
    _replace(monkeypatch, module, name, checksum=md5(path.read_bytes()))


def pack(monkeypatch, module, name="ARCHIVE", *, cut=0):
    """Replace an unpacked folder by the archive of it, which becomes the published one; `cut` bytes are missing."""
    archive = getattr(module, name)
    folder = settings.active().data / archive.folder
    content = zip_of(folder) if archive.name.endswith(".zip") else tar_of(folder)
    folder.with_name(archive.name).write_bytes(content[: len(content) - cut])
    shutil.rmtree(folder)
    _replace(monkeypatch, module, name, checksum=md5(content))


def _replace(monkeypatch, module, name, **changes):
    monkeypatch.setattr(module, name, dataclasses.replace(getattr(module, name), **changes))
