"""What is said of a machine: libraries that do not fit together, kernels that are slow, folders, the network."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest
from huggingface_hub import constants

import eyechart as ec
from eyechart import examination, libraries
from eyechart.embedding import devices
from eyechart.encoders import _hub
from eyechart.errors import EyechartError
from samples import photos, refused, run_python


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """What numpy's products are said to be, by the core type that is pinned."""
    by_pin = {None: ("SkylakeX", 200.0), "Haswell": ("Haswell", 100.0), "Zen": ("Zen", 190.0)}

    def measure(env):
        kernels, gflops = by_pin[env.get("OPENBLAS_CORETYPE")]
        library = {"internal_api": "openblas", "version": "0.3.29", "architecture": kernels, "num_threads": 4}
        return {"library": library, "gflops": gflops}

    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(examination, "_measured", measure)


def lines(**flags):
    return {what: (well, detail) for what, well, detail in ec.doctor(**flags)}


def write_library(folder, name, version, *, requires=(), code=""):
    """Write a package that is nothing but its metadata and some code."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    (folder / f"{name}-{version}.dist-info").mkdir()
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    )
    return folder


# -- libraries -------------------------------------------------------------------------------------------------------


def test_every_library_is_named_with_its_version():
    from importlib.metadata import version

    found = lines()
    for name in ("numpy", "torch", "torchvision", "timm", "open_clip_torch", "scikit-learn"):
        assert found[name] == (True, version(name))
    assert "Python 3." in found["eyechart"][1]


def test_a_library_that_is_missing_comes_with_the_command_to_install_it(monkeypatch):
    real = libraries.installed
    monkeypatch.setattr(examination, "installed", lambda name: None if name == "timm" else real(name))
    assert lines()["timm"] == (False, "not installed; pip install timm")


def test_an_extra_that_is_missing_is_nothing_bad(monkeypatch):
    real = libraries.installed
    monkeypatch.setattr(examination, "installed", lambda name: None if name == "datasets" else real(name))
    well, detail = lines()["extra datasets"]
    assert well
    assert detail.endswith("pip install 'eyechart[datasets]'")


def test_every_extra_of_the_package_is_looked_at():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    stated = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    assert stated.keys() <= libraries.EXTRAS.keys()
    for name, needs in stated.items():
        assert any(need.startswith(libraries.EXTRAS[name]) for need in needs)


def test_torch_and_torchvision_that_belong_together_are_well():
    assert lines()["torch and torchvision"] == (True, "belong together")
    assert libraries.torchvision_misfit() == ""


@pytest.fixture
def versions(monkeypatch):
    """A function that puts other versions in the place of those that are installed."""

    def put(torch, torchvision, *requires):
        there = {"torch": torch, "torchvision": torchvision}
        monkeypatch.setattr(libraries, "installed", there.get)
        monkeypatch.setattr(libraries, "requires", lambda _: list(requires) or None)

    return put


@pytest.mark.parametrize("pin", ["torch (==2.11.0)", "torch==2.11.0", "torch ==2.11.0 ; python_version > '3'"])
def test_a_torchvision_of_another_torch_comes_with_the_command_that_mends_it(versions, pin):
    versions("2.12.1+cu130", "0.26.0", "numpy", pin, "torchfoo ==1")
    assert libraries.torchvision_misfit() == (
        "torchvision 0.26.0 belongs to torch 2.11.0, and here is torch 2.12.1+cu130: "
        "pip install 'torch==2.12.1' torchvision"
    )
    well, detail = lines()["torch and torchvision"]
    assert (well, "pip install" in detail) == (False, True)


@pytest.mark.parametrize("pins", [("torch==2.12.1+cpu",), ("torch",), ("torch>=2",), ()])
def test_another_build_of_the_same_torch_or_no_pin_at_all_is_well(versions, pins):
    versions("2.12.1", "0.27.1", *pins)
    assert libraries.torchvision_misfit() == ""


def test_what_is_not_installed_is_said_first(versions):
    versions("2.12.1", None)
    assert libraries.torchvision_misfit() == "torchvision is not installed: pip install 'torch==2.12.1' torchvision"
    versions(None, None)
    assert libraries.torchvision_misfit() == "torch is not installed: pip install torch torchvision"


def test_a_torchvision_that_cannot_be_imported_is_to_be_installed_again(versions, monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    versions("2.12.1+cpu", "0.27.1", "torch==2.12.1")
    monkeypatch.setattr(libraries.importlib, "import_module", broken)
    assert libraries.torchvision_misfit() == (
        "torchvision 0.27.1 cannot be imported beside torch 2.12.1+cpu (operator torchvision::nms does not exist): "
        "pip install --force-reinstall --no-deps 'torchvision==0.27.1', with the --index-url that torch came from"
    )


def test_an_import_that_fails_for_another_reason_says_that_reason():
    with pytest.raises(ImportError, match="elsewhere"), libraries.torchvision_needed():
        raise ImportError("elsewhere")


def test_an_import_that_torchvision_breaks_says_how_to_mend_that(versions):
    versions("2.12.1", "0.26.0", "torch==2.11.0")
    with pytest.raises(EyechartError, match=r"belongs to torch 2\.11\.0"), libraries.torchvision_needed():
        raise RuntimeError("operator torchvision::nms does not exist")


RUN = "import sys; sys.argv[0] = 'eyechart'; from eyechart.cli import main; main()"


@pytest.mark.parametrize("encoder", ["timm:resnet18(pretrained=False)", "pixels"])
def test_a_run_that_fails_for_that_reason_says_the_same(encoder, tmp_path):
    broken = write_library(
        *(tmp_path / "broken", "torchvision", "0.9.0"),
        requires=["torch==1.8.0"],
        code="raise RuntimeError('operator torchvision::nms does not exist')",
    )
    images = photos(tmp_path / "photos")
    for path in images.rglob("*.png"):  # torchvision decodes JPEG files
        from PIL import Image

        Image.open(path).convert("RGB").save(path.with_suffix(".jpg"))
        path.unlink()
    asked = ("run", "--data", images, "--encoder", encoder, "--task", "knn(k=1)")
    done = run_python(RUN, *asked, PYTHONPATH=broken)
    said = "torchvision 0.9.0 belongs to torch 1.8.0, and here is torch", "pip install 'torch=="
    refused((done.returncode, done.stdout, done.stderr), *said)
    assert done.stderr.strip().endswith("torchvision")  # what is pasted is a command


# -- how fast --------------------------------------------------------------------------------------------------------


def test_the_library_that_multiplies_is_named_with_its_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    found = lines()
    said = "openblas 0.3.29 for SkylakeX, threads: 4, OMP_NUM_THREADS=4, 200 GFLOP/s"
    assert found["numpy's BLAS"] == (True, said)
    assert "OPENBLAS_CORETYPE" not in found


def test_a_pin_to_slow_kernels_is_worth_a_line(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert lines()["OPENBLAS_CORETYPE"] == (
        True,
        "it pins numpy's kernels to Haswell; without it they are those for SkylakeX, 200 instead of 100 GFLOP/s: "
        "unset it",
    )


def test_a_pin_that_costs_little_is_not(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    assert "OPENBLAS_CORETYPE" not in lines()


def test_products_are_really_measured(monkeypatch):
    monkeypatch.undo()
    found = examination._measured(dict(os.environ))
    assert found["gflops"] > 0.1
    assert found["library"]["num_threads"] >= 1


@pytest.mark.parametrize(("best", "words"), [("medium", "just as exact"), ("highest", "fewer digits")])
def test_the_choice_of_products_is_said_in_words(best, words, monkeypatch):
    monkeypatch.setattr("eyechart.probes.products._best", lambda: best)
    well, detail = lines()["float32 products"]
    assert well
    assert f'"{best}"' in detail
    assert words in detail


def test_a_gpu_always_takes_the_exact_products():
    assert examination._products("cuda").startswith('torch\'s "highest": on a GPU')


def test_a_device_that_is_not_there_is_bad():
    well, detail = lines(device="cuda:7")["device"]
    assert (well, "there is no device 'cuda:7'" in detail) == (False, True)


def test_a_torch_that_cannot_be_imported_is_bad_and_the_rest_is_still_said(monkeypatch):
    def broken():
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(devices, "device", broken)
    found = lines()
    assert found["device"] == (
        False,
        "torch cannot be imported (libcudart.so.13: cannot open shared object file): pip install --force-reinstall "
        "torch torchvision",
    )
    assert "cache" in found


# -- folders and the network -----------------------------------------------------------------------------------------


def test_folders_are_said_with_place_size_and_room(tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    with (tmp_path / "data" / "deep" / "file").open("wb") as file:
        file.truncate(300 * 2**20)
    found = lines()
    assert found["data"][1].startswith(f"{tmp_path / 'data'}, 0.3 GiB, can be written, ")
    assert found["cache"][1].startswith(f"{tmp_path / 'cache'}, not there yet, can be written, ")


def test_a_folder_that_is_too_large_to_count_is_said_to_be_larger(monkeypatch, tmp_path):
    monkeypatch.setattr(examination, "_COUNTING", -1.0)
    (tmp_path / "data").mkdir()
    assert "more than 0.0 GiB" in lines()["data"][1]


def test_too_little_room_is_bad_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10 * 2**30, 9 * 2**30, 2**29))
    well, detail = lines()["data"]
    assert not well
    assert detail.endswith("0.5 GiB free: make room, or name another with --data-dir")


def test_a_folder_that_cannot_be_written_is_bad(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    well, detail = lines()["cache"]
    assert (well, "--cache-dir" in detail, "EYECHART_CACHE_DIR" in detail) == (False, True, True)


@pytest.mark.parametrize(
    ("offline", "answers", "said"),
    [
        (True, True, "offline, as HF_HUB_OFFLINE says: only what is cached can be used"),
        (False, True, "https://huggingface.co answers"),
        (False, False, "https://huggingface.co does not answer. Offline: only what is cached can be used"),
    ],
)
def test_the_network_is_said_and_nothing_bad(offline, answers, said, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", "https://huggingface.co")
    monkeypatch.setattr(_hub, "answers", lambda _: answers)
    assert lines()["network"] == (True, said)
