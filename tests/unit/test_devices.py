"""Which device computes, and what of that is remembered."""

import logging

import pytest

from eyechart import settings
from eyechart.embedding import devices

CPU = {"best": "cpu", "kinds": ["cpu"], "bf16": False}
GPU = {"best": "cuda", "kinds": ["cuda", "cpu"], "bf16": True}


@pytest.fixture
def torch_says(monkeypatch):
    """A machine with a GPU's device nodes, and a list of what torch answers when it is asked."""
    answers = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.sys, "platform", "linux")
    monkeypatch.setattr(devices, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(devices, "_ask_torch", lambda: answers.pop(0))
    devices._there.cache_clear()
    yield answers
    devices._there.cache_clear()


def in_a_new_process():
    devices._there.cache_clear()
    return devices.device()


def test_a_gpu_that_torch_cannot_use_is_said_and_not_remembered(torch_says, caplog):
    torch_says += [CPU, GPU]
    with caplog.at_level(logging.WARNING, "eyechart"):
        assert in_a_new_process() == "cpu"
    (record,) = caplog.records
    assert "--device cpu" in record.getMessage()
    assert in_a_new_process() == "cuda"
    assert in_a_new_process() == "cuda"  # remembered: torch has no answer left
    assert len(list((settings.active().cache_dir / "devices").iterdir())) == 1


def test_a_gpu_that_was_hidden_on_purpose_needs_no_warning(torch_says, caplog, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    torch_says.append(CPU)
    assert in_a_new_process() == "cpu"
    assert caplog.records == []


def test_machines_that_share_a_cache_are_told_apart(torch_says, monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "_NVIDIA", tmp_path / "nvidia")
    information = tmp_path / "nvidia" / "gpus" / "0000:01:00.0" / "information"
    information.parent.mkdir(parents=True)
    seen = set()
    for node, model in (("one", "H200"), ("two", "H200"), ("two", "T4")):
        monkeypatch.setattr(devices.platform, "node", lambda node=node: node)
        information.write_text(f"Model: \t\t NVIDIA {model}\nIRQ:   \t\t 42\n")
        seen.add(devices._machine())
    information.write_text("Model: \t\t NVIDIA T4\nIRQ:   \t\t 43\n")
    assert len(seen | {devices._machine()}) == 3
