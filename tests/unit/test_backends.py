"""What computes a network: torch as fast as the CPU allows, or OpenVINO, and the same numbers from both."""

import platform
import sys

import numpy as np
import pytest
import timm
import torch
from torchvision.transforms import Compose, Normalize, ToTensor

from eyechart import settings
from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _openvino
from eyechart.encoders._cpu import at_a_time, keep_freed_memory, layout
from eyechart.encoders._normalize import normalized
from eyechart.encoders._torch import from_module
from eyechart.errors import Unavailable
from eyechart.registry import bind
from eyechart.types import Transform
from samples import refuses

NETWORKS = {
    "resnet18": "timm:resnet18(pretrained=False, size=64)",
    "vit_tiny": 'timm:vit_tiny_patch16_224(pretrained=False, size=32, model_args={"patch_size": 4})',
}
PIXELS = np.random.default_rng(0).integers(0, 256, (11, 96, 96, 3), dtype=np.uint8)


def built(spec, **flags):
    with settings.using(device="cpu", **flags):
        return bind("encoders", spec).call()


def embedded(spec, pixels, **flags):
    with settings.using(device="cpu", **flags):
        return built(spec, **flags).forward(pixels)


def pixels_for(name):
    side = 64 if name == "resnet18" else 32
    return PIXELS[:, :side, :side]


def eager(encoder, pixels):
    """What timm's network gives by itself, as anyone would call it."""
    network = encoder.module.to(memory_format=torch.contiguous_format)
    scaled = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).contiguous().float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.transform.mean, encoder.transform.std))
    with torch.inference_mode():
        return network((scaled - mean) / std).numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_plain_network(name):
    encoder, pixels = built(NETWORKS[name]), pixels_for(name)
    expected = eager(built(NETWORKS[name]), pixels)
    assert np.abs(encoder.forward(pixels) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_pixels_are_normalized_as_torchvision_does_it_to_the_last_bit(order):
    transform = Transform(size=96, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    theirs = Compose([ToTensor(), Normalize(transform.mean, transform.std)])
    ours = normalized(PIXELS, transform, order)
    assert ours.is_contiguous(memory_format=order)
    assert torch.equal(ours, torch.stack([theirs(image) for image in PIXELS]))


def test_many_images_go_through_the_network_in_pieces_and_come_back_in_order(monkeypatch):
    whole = embedded(NETWORKS["vit_tiny"], pixels_for("vit_tiny"))
    monkeypatch.setattr("eyechart.encoders._torch.at_a_time", lambda size: 4)
    pieces = embedded(NETWORKS["vit_tiny"], pixels_for("vit_tiny"))
    assert pieces.shape == whole.shape
    assert np.abs(pieces - whole).max() <= 1e-5 * np.abs(whole).max()


def test_what_goes_through_together_holds_about_as_many_pixels_whatever_the_size():
    assert [at_a_time(size) for size in (32, 224, 384, 518, 2000)] == [32, 8, 2, 1, 1]


def test_the_global_precision_of_products_is_as_it_was():
    before = torch.get_float32_matmul_precision()
    embedded(NETWORKS["vit_tiny"], pixels_for("vit_tiny"))
    assert torch.get_float32_matmul_precision() == before


def test_networks_of_convolutions_are_laid_out_with_channels_last_and_transformers_are_not():
    assert layout(timm.create_model("resnet18")) == torch.channels_last
    assert layout(timm.create_model("vit_tiny_patch16_224")) == torch.contiguous_format


def test_freed_memory_is_kept_where_the_allocator_can():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize("name", NETWORKS)
def test_openvino_gives_the_numbers_of_torch(name):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    torchs = embedded(NETWORKS[name], pixels_for(name))
    theirs = embedded(NETWORKS[name], pixels_for(name), backend="openvino")
    assert theirs.dtype == np.float32
    assert np.abs(theirs - torchs).max() <= 1e-4 * np.abs(torchs).max()


def test_openvino_computes_in_bf16_where_that_is_asked_for():
    openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16 instructions")
    exact = embedded(NETWORKS["vit_tiny"], pixels_for("vit_tiny"))
    rough = embedded(NETWORKS["vit_tiny"], pixels_for("vit_tiny"), backend="openvino", precision="bf16")
    assert np.abs(rough - exact).max() > 1e-4 * np.abs(exact).max()
    assert ((rough * exact).sum(1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(exact, axis=1)).min() > 0.999


def test_openvino_gives_a_row_for_each_image_however_many_there_are(monkeypatch):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    monkeypatch.setattr("eyechart.encoders._torch.at_a_time", lambda size: 4)
    with settings.using(device="cpu", backend="openvino"):
        encoder, pixels = built(NETWORKS["vit_tiny"], backend="openvino"), pixels_for("vit_tiny")
        whole = encoder.forward(pixels)
        for n in (1, 3, 4, 9):
            assert np.array_equal(encoder.forward(pixels[:n]), whole[:n]), n


@pytest.mark.parametrize(("precision", "keys"), [("fp32", 1), ("bf16", 2)])
def test_the_backend_is_part_of_an_encoders_key_only_where_its_numbers_are_its_own(precision, keys, monkeypatch):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    monkeypatch.setattr(_openvino, "_checked", lambda core: "f32")  # whatever this machine computes with
    found = set()
    for _ in range(2):  # built, and found again by the memo
        for backend in ("torch", "openvino"):
            with settings.using(device="cpu", backend=backend, precision=precision):
                found.add(load_encoder(bind("encoders", NETWORKS["resnet18"])).key)
    assert len(found) == keys


def test_an_unknown_backend_is_refused():
    with refuses("backend must be one of torch, openvino", "'tensorrt'"), settings.using(backend="tensorrt"):
        pass


def test_openvino_refuses_what_it_does_not_compute():
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    with settings.using(device="cpu", backend="openvino", precision="fp16"), refuses("fp32 or bf16", "fp16"):
        built(NETWORKS["resnet18"])


def test_openvino_refuses_bf16_where_the_machine_has_none(monkeypatch):
    class Core:
        def get_property(self, *_):
            return ["FP32", "INT8"]

    monkeypatch.setattr(_openvino, "_core", Core)
    with settings.using(device="cpu", backend="openvino", precision="bf16"), refuses("no bf16 instructions"):
        built(NETWORKS["resnet18"])


def test_a_missing_openvino_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with (
        settings.using(device="cpu", backend="openvino"),
        pytest.raises(Unavailable, match=r"pip install 'eyechart\[openvino\]'"),
    ):
        built(NETWORKS["resnet18"])


def test_a_network_that_openvino_cannot_convert_is_refused_in_one_line(monkeypatch):
    openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")

    def fails(*_, **__):
        raise RuntimeError("no rule for aten::odd\nand more")

    monkeypatch.setattr(openvino, "convert_model", fails)
    with settings.using(device="cpu", backend="openvino"):
        network, seen = torch.nn.Flatten(), Transform(size=8)
        encoder = from_module(network, seen, features=lambda module, x: module(x), loaded="")
        with refuses("OpenVINO cannot convert this network (no rule for aten::odd)", "--backend torch"):
            encoder.forward(PIXELS[:2, :8, :8])
