from pathlib import Path

import numpy as np
import pytest
import timm as library
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _hub
from eyechart.encoders.timm import timm
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import picture, refuses

TINY = {"pretrained": False, "size": 32}


def batch_of(n, size=32):
    return np.stack([picture(i, size, size) for i in range(n)])


def key_of(**options):
    from eyechart.specs import written

    return load_encoder(bind("encoders", written("timm", "test_vit", TINY | options))).key


@pytest.fixture
def network():
    torch.manual_seed(5)
    return library.create_model("test_vit", img_size=32).eval()


@pytest.fixture
def weights(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return str(tmp_path / "weights.safetensors")


def test_the_features_are_those_of_timm_on_normalized_pixels(network, weights):
    encoder = timm("test_vit", weights=weights, size=32)
    pixels = torch.from_numpy(batch_of(3)).permute(0, 3, 1, 2).float() / 255
    network.reset_classifier(0)
    with torch.inference_mode():
        expected = network((pixels - 0.5) / 0.5).numpy()
    got = encoder.forward(batch_of(3))
    assert got.dtype == np.float32
    assert got.shape == (3, encoder.dim) == (3, 64)
    assert np.allclose(got, expected, atol=1e-5)
    assert encoder.distance == "cosine"


def test_what_was_loaded_is_said(weights):
    assert "weights.safetensors (sha256 " in timm("test_vit", weights=weights, size=32).loaded
    assert timm("test_vit", **TINY, seed=3).loaded == "random weights (seed 3)"


def test_the_transform_is_the_models_own_unless_it_is_given():
    own = timm("mobilenetv3_small_050", pretrained=False).transform
    assert (own.size, own.crop_pct, own.crop_mode, own.interpolation) == (224, 0.875, "center", "bicubic")
    assert own.mean == (0.485, 0.456, 0.406)
    assert own.std == (0.229, 0.224, 0.225)
    given = timm(
        "mobilenetv3_small_050",
        pretrained=False,
        size=64,
        crop_pct=1.0,
        interpolation="bilinear",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 2.0),
    ).transform
    assert (given.size, given.crop_pct, given.interpolation) == (64, 1.0, "bilinear")
    assert given.mean == (0.0, 0.0, 0.0)
    assert given.std == (1.0, 1.0, 2.0)


@pytest.mark.parametrize(("option", "value"), [("crop_pct", 0.0), ("crop_pct", 1.5), ("size", 0), ("size", -32)])
def test_a_size_or_crop_that_cannot_be_is_refused_and_never_replaced(option, value):
    with refuses("size must be at least 1", str(value)):
        key_of(**{option: value})


@pytest.mark.parametrize("size", [33, 8])
def test_a_size_that_would_leave_pixels_out_is_refused(size):
    with refuses(f"timm:test_vit takes images whose size is a multiple of 16; got {size}"):
        timm("test_vit", **TINY | {"size": size})


@pytest.mark.parametrize("arguments", [{"num_heads": 7}, {"patch_size": 0}, {"wings": 2}])
def test_arguments_the_model_cannot_be_built_with_are_refused_in_one_line(arguments):
    with refuses("timm:test_vit does not take these model_args"):
        timm("test_vit", **TINY, model_args=arguments)


@pytest.mark.parametrize("options", [TINY, {}])
def test_maps_in_place_of_an_embedding_are_refused_in_one_line(options):
    with refuses("timm:test_vit: features_only leaves maps and no embedding", "layer="):
        timm("test_vit", **options, model_args={"features_only": True})


@pytest.mark.parametrize(("option", "value"), [("interpolation", "sinc"), ("std", (1.0, 0.0, 1.0))])
def test_a_transform_that_cannot_be_is_refused(option, value):
    with refuses(option, str(value)):
        key_of(**{option: value})


def test_equal_specs_have_equal_keys():
    assert key_of() == key_of()
    assert key_of(seed=4) == key_of(seed=4)


CHANGES = {
    "seed": 1,
    "pool": "mean",
    "crop_pct": 0.5,
    "mean": (0.4, 0.5, 0.5),
    "std": (0.4, 0.5, 0.5),
    "size": 48,
    "interpolation": "bilinear",
    "model_args": {"depth": 2},
}


def test_whatever_changes_the_features_changes_the_key():
    keys = [key_of(), *(key_of(**{name: value}) for name, value in CHANGES.items())]
    assert len(set(keys)) == len(keys)


def test_the_key_is_of_the_weights_and_not_of_where_they_lie(network, weights, tmp_path):
    keys = {"first": key_of(weights=weights)}
    Path(weights).rename(tmp_path / "renamed.safetensors")
    assert key_of(weights=str(tmp_path / "renamed.safetensors")) == keys["first"]
    with torch.no_grad():
        network.norm.bias[0] += 1e-3
    save_file(network.state_dict(), weights)
    assert key_of(weights=weights) != keys["first"]
    assert key_of() != keys["first"]


def test_weights_that_change_under_the_same_path_are_noticed(network, weights):
    before = key_of(weights=weights)
    with torch.no_grad():
        network.norm.bias[0] += 1e-3
    save_file(network.state_dict(), weights)
    assert key_of(weights=weights) != before


def test_random_weights_leave_the_random_numbers_of_others_alone():
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002, the global generator is what is tested
    expected = torch.rand(3), np.random.random(3)  # noqa: NPY002
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    timm("test_vit", **TINY, seed=7)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.random(3), expected[1])  # noqa: NPY002


def test_random_weights_depend_on_their_seed_alone():
    torch.manual_seed(1)
    first = timm("test_vit", **TINY, seed=7)
    torch.manual_seed(2)
    assert timm("test_vit", **TINY, seed=7).weights == first.weights
    assert timm("test_vit", **TINY, seed=8).weights != first.weights


def tokens(encoder, pixels):
    with torch.inference_mode():
        normalized = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        return encoder.module.forward_features(normalized).numpy()


@pytest.mark.parametrize("registers", [0, 4])
def test_pools_take_the_class_token_and_the_mean_of_the_patches(registers):
    made = {
        pool: timm("test_vit", **TINY, pool=pool, model_args={"reg_tokens": registers})
        for pool in ("cls", "mean", "cls+mean")
    }
    seen = tokens(made["cls"], batch_of(2))
    assert seen.shape[1] == 1 + registers + 4
    features = {pool: encoder.forward(batch_of(2)) for pool, encoder in made.items()}
    assert np.allclose(features["cls"], seen[:, 0], atol=1e-5)
    assert np.allclose(features["mean"], seen[:, 1 + registers :].mean(axis=1), atol=1e-5)
    assert np.allclose(features["cls+mean"], np.hstack([features["cls"], features["mean"]]), atol=1e-5)
    assert made["cls+mean"].dim == 128


def test_the_mean_of_a_convolutional_network_is_over_its_places():
    encoder = timm("test_resnet", pretrained=False, size=64, pool="mean")
    seen = tokens(encoder, batch_of(2, 64))
    assert np.allclose(encoder.forward(batch_of(2, 64)), seen.mean(axis=(2, 3)), atol=1e-5)


def test_the_mean_of_a_network_with_channels_last_is_over_its_places():
    arguments = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
    encoder = timm("swin_tiny_patch4_window7_224", pretrained=False, size=32, pool="mean", model_args=arguments)
    seen = tokens_imagenet(encoder, batch_of(2))
    assert seen.shape == (2, 4, 4, 16)
    assert np.allclose(encoder.forward(batch_of(2)), seen.mean(axis=(1, 2)), atol=1e-5)


def tokens_imagenet(encoder, pixels):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.transform.mean, encoder.transform.std))
    with torch.inference_mode():
        normalized = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
        return encoder.module.forward_features(normalized).numpy()


def test_a_network_without_a_class_token_has_none_to_pool():
    with refuses("timm:test_resnet has no class token", "'cls+mean'"):
        timm("test_resnet", pretrained=False, pool="cls+mean")


def test_one_image_has_the_same_features_in_any_batch():
    encoder = timm("test_vit", **TINY)
    together = encoder.forward(batch_of(5))
    alone = np.concatenate([encoder.forward(batch_of(5)[i : i + 1]) for i in range(5)])
    assert np.allclose(together, alone, atol=1e-5)


def saved(content, path):
    torch.save(content, path)
    return str(path)


def test_torch_files_hold_the_same_weights(network, weights, tmp_path):
    state = network.state_dict()
    plain = saved(state, tmp_path / "plain.pth")
    wrapped = saved({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "wrapped.pt")
    hashes = {timm("test_vit", weights=path, size=32).weights for path in (weights, plain, wrapped)}
    assert len(hashes) == 1


def test_weights_of_another_input_size_are_resampled(weights):
    assert timm("test_vit", weights=weights, size=48).forward(batch_of(1, 48)).shape == (1, 64)


def test_the_counters_of_batch_norm_may_be_missing(tmp_path):
    state = library.create_model("test_resnet").state_dict()
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert len(kept) < len(state)
    assert timm("test_resnet", weights=saved(kept, tmp_path / "w.pth"), size=64).dim == 96


def test_a_missing_tensor_is_named(network, tmp_path):
    state = {k: v for k, v in network.state_dict().items() if k != "blocks.1.attn.qkv.weight"}
    with refuses("w.pth does not fit", "missing blocks.1.attn.qkv.weight", "another architecture"):
        timm("test_vit", weights=saved(state, tmp_path / "w.pth"), size=32)


def test_a_tensor_too_many_is_named(network, tmp_path):
    state = network.state_dict() | {"blocks.99.norm1.weight": torch.zeros(3)}
    with refuses("unexpected blocks.99.norm1.weight"):
        timm("test_vit", weights=saved(state, tmp_path / "w.pth"), size=32)


def test_a_tensor_of_another_shape_is_named(network, tmp_path):
    state = network.state_dict() | {"norm.weight": torch.zeros(65)}
    with refuses("other shapes: norm.weight (65,) for (64,)"):
        timm("test_vit", weights=saved(state, tmp_path / "w.pth"), size=32)


def test_of_many_problems_the_first_are_named(tmp_path):
    state = library.create_model("test_resnet").state_dict()
    with refuses("missing", "unexpected", "more"):
        timm("test_vit", weights=saved(state, tmp_path / "w.pth"), size=32)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "marker"
    path = saved({"state_dict": Evil(str(marker))}, tmp_path / "evil.pth")
    assert not marker.exists()
    with refuses("evil.pth", "more than tensors", "could run code", ".safetensors"):
        timm("test_vit", weights=path, size=32)
    assert not marker.exists()


def test_what_is_no_torch_file_is_not_said_to_hold_code(tmp_path):
    (tmp_path / "w.pth").write_text("not weights")
    with refuses("w.pth is no weight file that can be read"):
        timm("test_vit", weights=str(tmp_path / "w.pth"), size=32)
    with refuses(f"{tmp_path} is a folder"):
        timm("test_vit", weights=str(tmp_path), size=32)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"\x00" * 64])
def test_a_file_without_weights_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refuses(name):
        timm("test_vit", weights=str(tmp_path / name), size=32)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"state_dict": {"a": "b"}}])
def test_a_torch_file_that_holds_no_state_dict_is_refused(tmp_path, content):
    with refuses("holds no state dict"):
        timm("test_vit", weights=saved(content, tmp_path / "w.pth"), size=32)


def test_a_weight_file_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"there is no weight file .*gone\.pth"):
        timm("test_vit", weights=str(tmp_path / "gone.pth"))


def test_published_weights_that_cannot_be_had_are_never_replaced_by_random_ones():
    with pytest.raises(Unavailable) as caught:
        timm("test_vit.r160_in1k")
    assert "the weights of timm:test_vit.r160_in1k cannot be had" in str(caught.value)
    assert 'weights="FILE"' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_published_weights_says_so():
    with refuses("timm publishes no weights for test_vit4", "pretrained=False"):
        timm("test_vit4")


def test_a_misspelt_model_is_answered_with_the_nearest():
    with refuses("no model called 'resnet5O'", "resnet50"):
        timm("resnet5O")


def test_a_misspelt_tag_is_answered_with_those_there_are():
    with refuses("no weights called 'test_vit.in22k'", "test_vit.r160_in1k"):
        timm("test_vit.in22k")


def test_register_tokens_are_no_class_token():
    with refuses("vit_betwixt_patch16_reg4_gap_256 has no class token", "'cls'"):
        timm("vit_betwixt_patch16_reg4_gap_256", pretrained=False, pool="cls", model_args={"depth": 1})


@pytest.fixture
def published(monkeypatch):
    """A function that puts a network's tensors in place of what the hub has."""

    def put(state):
        monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(state))

    return put


def test_the_commit_of_published_weights_is_stated(published, monkeypatch):
    published(library.create_model("test_vit").state_dict())
    file = "/cache/models--timm--test_vit.r160_in1k/snapshots/0a1b2c/model.safetensors"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: file)
    assert timm("test_vit").loaded == "published weights test_vit.r160_in1k at commit 0a1b2c"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: None)
    assert timm("test_vit").loaded == "published weights test_vit.r160_in1k"


def test_published_weights_leave_the_random_numbers_of_others_alone(published):
    published(library.create_model("test_vit").state_dict())
    before = torch.get_rng_state()
    timm("test_vit")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("arguments", [{"foo": 1}, {"patch_size": 0}, {"embed_dim": -64}])
def test_arguments_no_network_takes_are_refused_before_weights_are_looked_for(arguments):
    with refuses("timm:test_vit does not take these model_args") as caught:
        timm("test_vit", model_args=arguments)
    assert not isinstance(caught.value, Unavailable)


def test_published_weights_that_do_not_fit_are_not_called_unavailable(published):
    published(library.create_model("test_vit").state_dict())
    with refuses("the published weights of timm:test_vit do not fit", "blocks.") as caught:
        timm("test_vit", model_args={"depth": 2})
    assert not isinstance(caught.value, Unavailable)


def test_the_hub_is_asked_now_and_then_and_left_as_it_was(monkeypatch):
    asked = []

    def urlopen(request, timeout):
        asked.append(request.full_url)
        raise OSError("no network")

    _hub._answers.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for now in (0, 10, 70):
        monkeypatch.setattr(_hub.time, "monotonic", lambda now=now: now)
        with _hub.hub_if_it_answers():
            assert constants.HF_HUB_OFFLINE
        assert not constants.HF_HUB_OFFLINE
    assert len(asked) == 2


def test_a_text_given_as_weights_is_one_line(tmp_path):
    (tmp_path / "notes.toml").write_text("encoders = [pixels]\n")
    with refuses("notes.toml"):
        bind("encoders", f'timm:test_vit(weights="{tmp_path / "notes.toml"}")').call()
