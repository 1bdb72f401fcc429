import hashlib
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _hub
from eyechart.encoders import torchvision as plugin
from eyechart.encoders.torchvision import torchvision
from eyechart.errors import Unavailable
from eyechart.images.transform import square
from eyechart.registry import bind
from samples import picture, refuses, smooth


def batch_of(n, size=64):
    return np.stack([picture(i, size, size) for i in range(n)])


def normalized(encoder, batch):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.transform.mean, encoder.transform.std))
    return (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std


def given_to_the_classifier(network, pixels):
    """What the linear layer that runs last is given, by a hook."""
    seen = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.inference_mode():
        output = network.eval()(pixels)
    assert torch.equal(seen[-1][1], output)
    return seen[-1][0].numpy()


def saved(state, path):
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return str(path)


@pytest.fixture
def network():
    torch.manual_seed(5)
    return models.get_model("resnet18", weights=None).eval()


@pytest.fixture
def weights(network, tmp_path):
    return saved(network.state_dict(), tmp_path / "weights.safetensors")


NETWORKS = {
    "resnet18": (64, {}),
    "mobilenet_v3_small": (64, {}),
    "efficientnet_b0": (64, {}),
    "convnext_tiny": (64, {}),
    "swin_t": (64, {}),
    "densenet121": (64, {}),
    "vit_b_16": (32, {"image_size": 32}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_features_are_what_the_last_linear_layer_is_given(name, tmp_path):
    size, arguments = NETWORKS[name]
    torch.manual_seed(5)
    network = models.get_model(name, weights=None, **arguments)
    encoder = torchvision(name, weights=saved(network.state_dict(), tmp_path / "w.safetensors"), size=size)
    expected = given_to_the_classifier(network, normalized(encoder, batch_of(2, size)))
    got = encoder.forward(batch_of(2, size))
    assert got.dtype == np.float32
    assert got.shape == (2, encoder.dim) == expected.shape
    assert np.allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_the_layer_norm_in_the_head_of_convnext_belongs_to_the_features():
    encoder = torchvision("convnext_tiny", pretrained=False, size=64)
    features = encoder.forward(batch_of(3))
    assert np.allclose(features.mean(axis=1), 0, atol=1e-5)
    assert np.allclose(features.std(axis=1), 1, atol=1e-3)


def test_a_network_that_does_not_end_in_a_linear_layer_is_refused():
    with refuses("torchvision:squeezenet1_1 does not end in a linear layer of 1000 classes"):
        torchvision("squeezenet1_1", pretrained=False)


PRESETS = {
    (preset.crop_size[0], preset.resize_size[0], preset.interpolation): member
    for name in models.list_models(module=models)
    for member in models.get_model_weights(name)
    for preset in [member.transforms()]
    if preset.crop_size[0] < 400
}


@pytest.mark.parametrize("member", PRESETS.values(), ids=lambda member: f"{type(member).__name__}-{member.name}")
def test_the_transform_gives_the_pixels_of_that_of_the_weights(member):
    preset, transform = member.transforms(), plugin._transform(member, None)
    for seed, (height, width) in enumerate([(300, 500), (321, 222), (40, 70)]):
        image = smooth(seed, height, width)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (preset.mean, preset.std))
        expected = (preset(Image.fromarray(image)) * std + mean).permute(1, 2, 0).numpy() * 255
        assert np.abs(square(transform, image) - expected).max() <= 1.01


def test_no_crop_is_off_by_the_rounding_of_a_quotient():
    for crop in range(1, 520, 7):
        for resize in range(crop, 600):
            preset = SimpleNamespace(
                crop_size=[crop], resize_size=[resize], interpolation=SimpleNamespace(value="x"), mean=[], std=[1.0]
            )
            preset.mean = preset.std = [1.0, 1.0, 1.0]
            share = plugin._transform(SimpleNamespace(transforms=lambda preset=preset: preset), None).crop_pct
            assert math.floor(crop / share) == resize
            assert share <= 1


def test_the_transform_is_that_of_the_weights_that_are_named():
    first = torchvision("resnet50/IMAGENET1K_V1", pretrained=False).transform
    second = torchvision("resnet50/IMAGENET1K_V2", pretrained=False).transform
    assert first.crop_pct == 224 / 256
    assert math.floor(224 / second.crop_pct) == 232
    assert torchvision("resnet50", pretrained=False).transform == second
    assert (first.size, first.interpolation, first.crop_mode) == (224, "bilinear", "center")
    assert first.mean == (0.485, 0.456, 0.406)
    assert first.std == (0.229, 0.224, 0.225)


def test_another_size_keeps_the_share_of_the_crop():
    transform = torchvision("resnet18", pretrained=False, size=96).transform
    assert (transform.size, transform.crop_pct) == (96, 224 / 256)


def test_vision_transformers_have_the_size_of_their_weights():
    encoder = torchvision("vit_b_16/IMAGENET1K_SWAG_E2E_V1", pretrained=False)
    assert encoder.transform.size == 384
    assert encoder.module.image_size == 384
    assert encoder.stride == 16


def test_a_vision_transformer_of_another_size_resamples_its_positions_as_torchvision_does(tmp_path, caplog):
    torch.manual_seed(5)
    small = models.vit_b_32(weights=None, image_size=64)
    path = saved(small.state_dict(), tmp_path / "w.safetensors")
    state = models.vision_transformer.interpolate_embeddings(96, 32, dict(small.state_dict()))
    large = models.vit_b_32(weights=None, image_size=96)
    large.load_state_dict(state)
    with caplog.at_level("INFO"):
        encoder = torchvision("vit_b_32", weights=path, size=96)
    expected = given_to_the_classifier(large, normalized(encoder, batch_of(2, 96)))
    assert np.allclose(encoder.forward(batch_of(2, 96)), expected, atol=1e-4)
    assert "position embeddings resampled from 5 to 10" in caplog.text


@pytest.mark.parametrize(("name", "size"), [("vit_b_32", 100), ("maxvit_t", 112), ("resnet18", 0), ("alexnet", 8)])
def test_a_size_the_network_cannot_take_is_refused_in_one_line(name, size):
    with refuses(f"torchvision:{name}", str(size), "size" if not size else f"cannot take images of {size} x {size}"):
        torchvision(name, pretrained=False, size=size)


def test_only_networks_of_patches_and_windows_have_a_stride():
    assert torchvision("resnet18", pretrained=False, size=64).stride == 1
    assert torchvision("vit_b_32", pretrained=False, size=64).stride == 32


def test_what_was_loaded_is_said(weights):
    assert "weights.safetensors (sha256 " in torchvision("resnet18", weights=weights, size=64).loaded
    assert torchvision("resnet18", pretrained=False, size=64, seed=3).loaded == "random weights (seed 3)"


def test_random_weights_leave_the_random_numbers_of_others_alone():
    before = torch.get_rng_state()
    torchvision("mobilenet_v3_small", pretrained=False, size=64, seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_weights_depend_on_their_seed_alone():
    torch.manual_seed(1)
    first = torchvision("mobilenet_v3_small", pretrained=False, size=64, seed=7)
    torch.manual_seed(2)
    assert torchvision("mobilenet_v3_small", pretrained=False, size=64, seed=7).weights == first.weights
    assert torchvision("mobilenet_v3_small", pretrained=False, size=64, seed=8).weights != first.weights


def test_a_spec_names_its_weights_after_a_slash():
    bound = bind("encoders", "torchvision:resnet18/IMAGENET1K_V1(pretrained=False, size=64)")
    assert load_encoder(bound).dim == 512


def test_a_missing_tensor_is_named(network, tmp_path):
    state = {k: v for k, v in network.state_dict().items() if k != "layer1.0.conv1.weight"}
    with refuses("w.safetensors does not fit ResNet", "missing layer1.0.conv1.weight"):
        torchvision("resnet18", weights=saved(state, tmp_path / "w.safetensors"), size=64)


def test_a_tensor_too_many_is_named(network, tmp_path):
    state = network.state_dict() | {"layer9.weight": torch.zeros(3)}
    with refuses("unexpected layer9.weight"):
        torchvision("resnet18", weights=saved(state, tmp_path / "w.safetensors"), size=64)


def test_a_tensor_of_another_shape_is_named(network, tmp_path):
    state = network.state_dict() | {"bn1.weight": torch.zeros(65)}
    with refuses("other shapes: bn1.weight (65,) for (64,)"):
        torchvision("resnet18", weights=saved(state, tmp_path / "w.safetensors"), size=64)


def test_a_classifier_of_other_classes_is_of_no_concern(network, weights, tmp_path):
    state = network.state_dict() | {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    tuned = torchvision("resnet18", weights=saved(state, tmp_path / "tuned.safetensors"), size=64)
    assert tuned.weights == torchvision("resnet18", weights=weights, size=64).weights


def test_names_from_before_dots_separated_modules_are_understood(tmp_path):
    state = models.densenet121(weights=None).state_dict()
    new = torchvision("densenet121", weights=saved(state, tmp_path / "new.safetensors"), size=64)
    for part in ("norm", "conv"):
        for number in "12":
            state = {name.replace(f".{part}{number}.", f".{part}.{number}."): v for name, v in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    assert (
        torchvision("densenet121", weights=saved(state, tmp_path / "old.safetensors"), size=64).weights == new.weights
    )


def test_the_names_that_vision_transformers_were_published_with_are_understood(tmp_path):
    state = models.vit_b_32(weights=None, image_size=64).state_dict()
    new = torchvision("vit_b_32", weights=saved(state, tmp_path / "new.safetensors"), size=64)
    state = {n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for n, v in state.items()}
    assert torchvision("vit_b_32", weights=saved(state, tmp_path / "old.safetensors"), size=64).weights == new.weights


def test_a_network_that_insists_on_a_version_loads_files_that_state_none(tmp_path):
    state = models.mnasnet0_5(weights=None).state_dict()
    encoder = torchvision("mnasnet0_5", weights=saved(state, tmp_path / "w.safetensors"), size=64)
    assert "w.safetensors" in encoder.loaded


def test_classifiers_that_only_help_training_are_left_out(tmp_path):
    state = models.googlenet(weights=None, aux_logits=True, init_weights=False).state_dict()
    assert any(name.startswith("aux1.") for name in state)
    encoder = torchvision("googlenet", weights=saved(state, tmp_path / "w.safetensors"), size=64)
    assert encoder.dim == 1024
    assert encoder.module.transform_input


def test_a_misspelt_network_is_answered_with_the_nearest():
    with refuses("no classification network called 'resnet5O'", "resnet50"):
        torchvision("resnet5O")


def test_misspelt_weights_are_answered_with_those_there_are():
    with refuses("no weights called 'IMAGENET1K_V3' for resnet50", "IMAGENET1K_V1, IMAGENET1K_V2"):
        torchvision("resnet50/IMAGENET1K_V3")


def test_a_network_that_classifies_no_images_is_refused():
    with refuses("torchvision's fcn_resnet50 is no network that classifies images"):
        torchvision("fcn_resnet50")


def test_weights_without_the_last_layers_are_refused():
    with refuses("torchvision:vgg16/IMAGENET1K_FEATURES", "without its last layers"):
        torchvision("vgg16/IMAGENET1K_FEATURES")


@pytest.fixture
def published(network, tmp_path, monkeypatch):
    """Weights on a server of their own, in place of the published ones: where they are, and where torch keeps them."""
    content = tmp_path / "content"
    torch.save(network.state_dict(), content)
    name = f"resnet18-{hashlib.sha256(content.read_bytes()).hexdigest()[:8]}.pth"
    (tmp_path / "server").mkdir()
    content.rename(tmp_path / "server" / name)
    member = models.ResNet18_Weights.IMAGENET1K_V1
    url = (tmp_path / "server" / name).as_uri()
    stand_in = SimpleNamespace(url=url, name=member.name, meta=member.meta, transforms=member.transforms)
    monkeypatch.setattr(plugin, "_published", lambda _: stand_in)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    _hub._answers.cache_clear()
    return SimpleNamespace(server=tmp_path / "server" / name, cache=tmp_path / "torch" / "hub" / "checkpoints" / name)


def test_published_weights_are_downloaded_once_and_the_default_is_named(published, weights):
    encoder = torchvision("resnet18", size=64)
    assert encoder.loaded == "published weights resnet18/IMAGENET1K_V1"
    assert encoder.weights == torchvision("resnet18", weights=weights, size=64).weights
    published.server.unlink()
    assert torchvision("resnet18", size=64).weights == encoder.weights
    assert [path.name for path in published.cache.parent.iterdir()] == [published.cache.name]


def test_a_download_that_is_not_what_its_name_says_does_not_stay(published):
    published.server.write_bytes(published.server.read_bytes()[:-1])
    with pytest.raises(Unavailable, match="cannot be had") as caught:
        torchvision("resnet18", size=64)
    assert "invalid hash" in str(caught.value)
    assert list(published.cache.parent.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_refused(published):
    torchvision("resnet18", size=64)
    published.cache.write_bytes(published.cache.read_bytes()[:-1])
    with refuses(str(published.cache), "damaged or another file", "Delete it"):
        torchvision("resnet18", size=64)


def test_published_weights_that_cannot_be_had_are_never_replaced_by_random_ones(monkeypatch, tmp_path):
    def refused(*_, **__):
        raise OSError("no network")

    _hub._answers.cache_clear()
    monkeypatch.setattr("urllib.request.urlopen", refused)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with refuses(
        "the weights of torchvision:resnet18 cannot be had",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        str(Path(tmp_path, "torch", "hub", "checkpoints")),
        'weights="FILE"',
    ) as caught:
        torchvision("resnet18")
    assert isinstance(caught.value, Unavailable)
    assert not (tmp_path / "torch").exists()
