import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from eyechart.embedding.loading import load_encoder
from eyechart.encoders.hf import hf
from eyechart.errors import Unavailable
from eyechart.images.transform import square
from eyechart.registry import bind
from eyechart.specs import written
from samples import picture, refuses, smooth

transformers = pytest.importorskip("transformers")

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
DINOV2 = {key: value for key, value in VIT.items() if key != "intermediate_size"}
TEXT = {key: VIT[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
TEXT |= {"vocab_size": 40, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
DECODER = {f"decoder_{key}": 32 for key in ("hidden_size", "intermediate_size")}
DECODER |= {"decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
CONFIGS = {
    "vit": VIT,
    "deit": VIT,
    "beit": VIT,
    "data2vec-vision": VIT,
    "dinov2": DINOV2,
    "dinov2_with_registers": DINOV2 | {"num_register_tokens": 3},
    "dinov3_vit": VIT | {"num_register_tokens": 3},
    "vit_mae": VIT | DECODER,
    "convnext": {"hidden_sizes": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "image_size": 64},
    "clip": {"vision_config": VIT, "text_config": TEXT, "projection_dim": 16},
    "siglip": {"vision_config": VIT, "text_config": TEXT},
    "siglip2": {"vision_config": {k: v for k, v in VIT.items() if k != "image_size"} | {"num_patches": 16}}
    | {"text_config": TEXT},
}
STATED = {"size": 32, "crop_pct": 1.0, "interpolation": "bicubic", "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.6, 0.7)}
PREPARED = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 32},
    "resample": 3,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.6, 0.7],
}


def batch(size=32):
    return np.stack([picture(i, size, size) for i in range(3)])


def pixels(encoder, size=32):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.transform.mean, encoder.transform.std))
    return (torch.from_numpy(batch(size)).permute(0, 3, 1, 2).float() / 255 - mean) / std


def random(kind, **options):
    return hf("org/repo", pretrained=False, config={"model_type": kind} | CONFIGS[kind], **STATED | options)


def reference(kind, model):
    """A network of transformers' own class, with weights that a fresh one has not."""
    config = transformers.CONFIG_MAPPING[kind](**json.loads(json.dumps(CONFIGS[kind])))
    torch.manual_seed(3)
    network = getattr(transformers, model)(config).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return network


def folder(network, path, **prepared):
    """A network as save_pretrained writes it, with an image processor."""
    network.save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(PREPARED | prepared))
    return str(path)


def by_hand(network, x):
    return network(x).last_hidden_state


FAMILIES = {
    "vit": ("ViTForImageClassification", lambda m, x: m.vit(x).last_hidden_state[:, 0]),
    "deit": ("DeiTForImageClassification", lambda m, x: m.deit(x).last_hidden_state[:, 0]),
    "beit": ("BeitForImageClassification", lambda m, x: m.beit(x).pooler_output),
    "data2vec-vision": ("Data2VecVisionForImageClassification", lambda m, x: m.data2vec_vision(x).pooler_output),
    "dinov2": ("Dinov2Model", lambda m, x: by_hand(m, x)[:, 0]),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", lambda m, x: by_hand(m, x)[:, 0]),
    "dinov3_vit": ("DINOv3ViTModel", lambda m, x: by_hand(m, x)[:, 0]),
    "convnext": ("ConvNextForImageClassification", lambda m, x: m.convnext(x).pooler_output),
    "clip": ("CLIPModel", lambda m, x: m.visual_projection(m.vision_model(x).pooler_output)),
    "siglip": ("SiglipModel", lambda m, x: m.vision_model(x).pooler_output),
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_default_embedding_is_what_the_family_calls_the_feature_of_an_image(kind, tmp_path):
    model, expected = FAMILIES[kind]
    network = reference(kind, model)
    encoder = hf(folder(network, tmp_path / "model"))
    with torch.inference_mode():
        wanted = expected(network, pixels(encoder)).numpy()
    assert np.abs(wanted).max() > 0.01
    assert np.allclose(encoder.forward(batch()), wanted, atol=1e-5)


TOKENS = {
    "vit": ("ViTModel", by_hand, 1),
    "deit": ("DeiTModel", by_hand, 2),
    "data2vec-vision": ("Data2VecVisionModel", by_hand, 1),
    "dinov2": ("Dinov2Model", by_hand, 1),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", by_hand, 4),
    "dinov3_vit": ("DINOv3ViTModel", by_hand, 4),
    "clip": ("CLIPModel", lambda m, x: m.vision_model.post_layernorm(by_hand(m.vision_model, x)), 1),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_pools_take_the_class_token_and_the_mean_of_the_patches_alone(kind, tmp_path):
    model, tokens, before = TOKENS[kind]
    network = reference(kind, model)
    path = folder(network, tmp_path / "model")
    made = {pool: hf(path, pool=pool) for pool in ("cls", "mean", "cls+mean")}
    with torch.inference_mode():
        seen = tokens(network, pixels(made["cls"])).numpy()
    assert seen.shape[1] == 16 + before
    expected = {"cls": seen[:, 0], "mean": seen[:, before:].mean(axis=1)}
    expected["cls+mean"] = np.hstack([expected["cls"], expected["mean"]])
    for pool, encoder in made.items():
        assert np.allclose(encoder.forward(batch()), expected[pool], atol=1e-5)


def test_siglip_has_patches_alone(tmp_path):
    network = reference("siglip", "SiglipModel")
    path = folder(network, tmp_path / "model")
    encoder = hf(path, pool="mean")
    with torch.inference_mode():
        expected = by_hand(network.vision_model, pixels(encoder)).mean(dim=1).numpy()
    assert np.allclose(encoder.forward(batch()), expected, atol=1e-5)
    with refuses("has no class token", "'cls'"):
        hf(path, pool="cls")


def test_the_mean_of_a_convolutional_network_is_over_its_places(tmp_path):
    network = reference("convnext", "ConvNextModel")
    encoder = hf(folder(network, tmp_path / "model", size={"height": 64, "width": 64}), pool="mean")
    with torch.inference_mode():
        expected = by_hand(network, pixels(encoder, 64)).mean(dim=(2, 3)).numpy()
    assert np.allclose(encoder.forward(batch(64)), expected, atol=1e-5)


@pytest.mark.parametrize("pool", ["default", "mean"])
def test_mae_sees_every_patch_in_order_and_repeats_itself(pool, tmp_path):
    network = reference("vit_mae", "ViTMAEForPreTraining")
    assert network.config.mask_ratio == 0.75
    encoder = hf(folder(network, tmp_path / "model"), pool=pool)
    state = torch.get_rng_state()
    first = encoder.forward(batch())
    assert np.array_equal(encoder.forward(batch()), first)
    assert torch.equal(torch.get_rng_state(), state)
    network.config.mask_ratio = 0.0  # a transformer without a mask does not care for the random order
    with torch.inference_mode():
        tokens = network.vit(pixels(encoder)).last_hidden_state
    assert tokens.shape[1] == 17
    expected = tokens[:, 0] if pool == "default" else tokens[:, 1:].mean(dim=1)
    assert np.allclose(first, expected.numpy(), atol=1e-5)


def test_siglip2_for_any_shape_sees_squares_in_its_own_patches(tmp_path):
    network = reference("siglip2", "Siglip2Model")
    prepared = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 16, "resample": 2}
    path = folder(network, tmp_path / "model", **prepared)
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(prepared))
    encoder = hf(path)
    processor = transformers.AutoImageProcessor.from_pretrained(path)
    image = smooth(4, 90, 90).copy()
    with torch.inference_mode():
        expected = network.get_image_features(**processor(images=image, return_tensors="pt")).pooler_output.numpy()
    got = encoder.forward(square(encoder.transform, image)[None])
    assert np.allclose(got, expected, atol=1e-2 * np.abs(expected).max())


PROCESSORS = {
    "ViT": ("ViTImageProcessor", {"size": {"height": 40, "width": 40}, "resample": 2}),
    "ViT of old": (None, {"feature_extractor_type": "ViTFeatureExtractor", "size": 40, "resample": 2}),
    "CLIP of old": (None, {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 40}),
    "BEiT": ("BeitImageProcessor", {"size": {"height": 40, "width": 40}, "do_center_crop": False}),
    "DeiT": ("DeiTImageProcessor", {"size": {"height": 46, "width": 46}, "crop_size": {"height": 40, "width": 40}}),
    "DINOv2": ("BitImageProcessor", {"size": {"shortest_edge": 48}, "crop_size": {"height": 40, "width": 40}}),
    "CLIP": ("CLIPImageProcessor", {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}),
    "SigLIP": ("SiglipImageProcessor", {"size": {"height": 40, "width": 40}, "resample": 3}),
    "ConvNeXT": ("ConvNextImageProcessor", {"size": {"shortest_edge": 42}, "crop_pct": 0.875}),
    "DINOv3": ("DINOv3ViTImageProcessor", {"size": {"height": 40, "width": 40}, "resample": 2}),
    "other scale": ("ViTImageProcessor", {"size": {"height": 40, "width": 40}, "rescale_factor": 1 / 127.5}),
    "unscaled": ("ViTImageProcessor", {"size": {"height": 40, "width": 40}, "do_rescale": False}),
    "not normalized": ("ViTImageProcessor", {"size": {"height": 40, "width": 40}, "do_normalize": False}),
}
OTHER = {"resample": 3, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def a_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hf") / "vit"
    folder(reference("vit", "ViTModel"), path)
    return path


@pytest.fixture
def prepared(a_folder, tmp_path):
    """A function that gives the encoder of a folder with another image processor, and that processor."""

    def make(kind, settings, **options):
        path = tmp_path / "prepared"
        shutil.copytree(a_folder, path)
        stated = OTHER | settings | ({"image_processor_type": kind} if kind else {})
        (path / "preprocessor_config.json").write_text(json.dumps(stated))
        return hf(str(path), **options), transformers.AutoImageProcessor.from_pretrained(path)

    return make


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("shape", [(96, 144), (96, 48), (30, 60)])  # no odd border remains
def test_images_are_prepared_as_the_image_processor_prepares_them(prepared, kind, shape):
    encoder, processor = prepared(*PROCESSORS[kind])
    image = smooth(7, *shape).copy()
    theirs = processor(images=image, return_tensors="np")["pixel_values"][0]
    mean, std = (np.array(v).reshape(3, 1, 1) for v in (encoder.transform.mean, encoder.transform.std))
    ours = square(encoder.transform, image)
    assert np.abs((theirs * std + mean) * 255 - ours.transpose(2, 0, 1)).max() <= 1.001


def test_the_image_processor_that_uses_pillow_agrees_too(prepared):
    encoder, _ = prepared(*PROCESSORS["DINOv2"])
    processor = transformers.models.bit.image_processing_pil_bit.BitImageProcessorPil(
        **OTHER, **PROCESSORS["DINOv2"][1]
    )
    image = smooth(7, 96, 144)
    theirs = processor(images=image, return_tensors="np", do_normalize=False)["pixel_values"][0]
    assert np.allclose(theirs * 255, square(encoder.transform, image).transpose(2, 0, 1))


def test_an_odd_border_is_cut_as_torchvision_cuts_it(prepared):
    settings = {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}
    encoder, processor = prepared("CLIPImageProcessor", settings)
    image = smooth(7, 40, 47).copy()  # 3.5 columns on each side
    theirs = processor(images=image, return_tensors="np", do_normalize=False)["pixel_values"][0]
    assert np.array_equal(square(encoder.transform, image), image[:, 4:44])
    assert np.allclose(theirs * 255, image[:, 3:43].transpose(2, 0, 1))


def test_dinov2s_224_of_256_is_a_share_that_comes_out_even(prepared):
    settings = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    transform = prepared("BitImageProcessor", settings, size=32)[0].transform
    assert (transform.size, transform.crop_pct, transform.crop_mode) == (32, 0.875, "center")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("MobileViTImageProcessor", {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}),
        ("LevitImageProcessor", {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}),
        ("ViTImageProcessor", {"size": {"height": 40, "width": 48}}),
        ("ViTImageProcessor", {"size": {"height": 40, "width": 40}, "do_resize": False}),
        ("CLIPImageProcessor", {"size": {"shortest_edge": 40}, "do_center_crop": False}),
        ("DetrImageProcessor", {"size": {"shortest_edge": 40, "longest_edge": 60}}),
    ],
)
def test_an_image_processor_that_does_more_is_refused_unless_all_is_stated(prepared, kind, settings):
    with refuses(kind, "in a way that eyechart does not follow", "size=, crop_pct=, interpolation=, mean= and std="):
        prepared(kind, settings)


def test_what_is_stated_in_full_needs_no_image_processor(a_folder, tmp_path):
    shutil.copytree(a_folder, tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    with pytest.raises(Unavailable, match=r"the image processor of hf:.*state all of size="):
        hf(str(tmp_path / "bare"))
    transform = hf(str(tmp_path / "bare"), **STATED).transform
    assert (transform.size, transform.mean, transform.crop_mode) == (32, (0.5, 0.4, 0.3), "center")


def test_options_replace_what_the_image_processor_says(a_folder):
    transform = hf(str(a_folder), crop_pct=0.5, interpolation="bilinear", std=(1.0, 1.0, 2.0)).transform
    assert (transform.crop_pct, transform.interpolation, transform.std) == (0.5, "bilinear", (1.0, 1.0, 2.0))
    assert (transform.size, transform.mean, transform.crop_mode) == (32, (0.5, 0.4, 0.3), "squash")


@pytest.mark.parametrize("kind", ["vit", "beit", "dinov2", "clip"])
def test_another_size_resamples_position_embeddings(kind, tmp_path):
    model = {"vit": "ViTModel", "beit": "BeitModel", "dinov2": "Dinov2Model", "clip": "CLIPModel"}[kind]
    network = reference(kind, model)
    encoder = hf(folder(network, tmp_path / "model"), size=48, pool="mean")
    vision = network.vision_model if kind == "clip" else network
    more = {} if kind == "dinov2" else {"interpolate_pos_encoding": True}
    with torch.inference_mode():
        tokens = vision(pixels(encoder, 48), **more).last_hidden_state
        tokens = vision.post_layernorm(tokens) if kind == "clip" else tokens
    assert tokens.shape[1] == 37
    assert np.allclose(encoder.forward(batch(48)), tokens[:, 1:].mean(dim=1).numpy(), atol=1e-5)


def test_a_size_below_the_patch_is_refused_in_one_line():
    with refuses("hf:org/repo cannot take images of 4 x 4"):
        random("vit", size=4)
    with refuses("size must be at least 1", "0"):
        random("vit", size=0)


@pytest.mark.parametrize(("kind", "stride"), [("vit", 8), ("dinov3_vit", 8), ("clip", 8), ("convnext", 1)])
def test_an_input_size_must_be_a_multiple_of_the_patches_side(kind, stride):
    assert random(kind).stride == stride


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_family_is_built_from_a_stated_configuration(kind):
    encoder = random(kind)
    rows = encoder.forward(batch())
    assert rows.shape == (3, encoder.dim)
    assert np.isfinite(rows).all()
    assert not (rows == rows[0]).all()
    alone = np.concatenate([encoder.forward(batch()[i : i + 1]) for i in range(3)])
    assert np.allclose(rows, alone, atol=1e-5)
    assert encoder.loaded == "random weights (seed 0)"
    assert encoder.text is None


def test_a_stated_configuration_has_the_image_processor_and_the_size_of_its_family():
    encoder = hf("facebook/data2vec-vision-base", pretrained=False, config={"model_type": "data2vec-vision"} | VIT)
    assert (encoder.transform.size, encoder.transform.crop_mode, encoder.transform.mean) == (32, "squash", (0.5,) * 3)
    with refuses("dinov2_with_registers", "has no image processor", "state all of"):
        hf("x", pretrained=False, config={"model_type": "dinov2_with_registers"} | CONFIGS["dinov2_with_registers"])


def test_random_weights_depend_on_their_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = random("vit", seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert random("vit", seed=7).weights == first.weights
    assert random("vit", seed=8).weights != first.weights


def key_of(name="org/repo", **options):
    base = {"pretrained": False, "config": {"model_type": "vit"} | VIT} | STATED
    return load_encoder(bind("encoders", written("hf", name, base | options))).key


CHANGES = {
    "seed": 1,
    "pool": "mean",
    "size": 40,
    "crop_pct": 0.5,
    "interpolation": "bilinear",
    "mean": (0.1, 0.4, 0.3),
    "std": (0.5, 0.6, 0.8),
    "config": {"model_type": "vit"} | VIT | {"num_hidden_layers": 1},
    "revision": "v2",
}


def test_whatever_changes_the_features_changes_the_key():
    keys = [key_of(), key_of("org/other"), *(key_of(**{name: value}) for name, value in CHANGES.items())]
    assert len(set(keys)) == len(keys)
    assert key_of() == keys[0]


def test_the_key_of_a_folder_is_of_its_content_and_not_of_where_it_lies(a_folder, tmp_path):
    def key(path):
        return load_encoder(bind("encoders", written("hf", str(path), {}))).key

    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    before = key(a_folder)
    assert key(copy) == before
    network = transformers.ViTModel.from_pretrained(copy)
    with torch.no_grad():
        network.layernorm.bias[0] += 1e-3
    network.save_pretrained(copy)
    assert key(copy) != before


def test_what_was_loaded_is_said(a_folder):
    assert str(a_folder) in hf(str(a_folder)).loaded
    assert hf(str(a_folder), pretrained=False, seed=3).loaded == "random weights (seed 3)"


VIT_STATED = {"config": {"model_type": "vit"} | VIT} | STATED


@pytest.fixture
def state():
    return {k: v.clone() for k, v in reference("vit", "ViTForImageClassification").state_dict().items()}


def saved(state, path):
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_local_file_holds_the_same_weights_with_and_without_its_head(state, tmp_path, name):
    network = reference("vit", "ViTForImageClassification")
    bare = {key.removeprefix("vit."): value for key, value in state.items() if key.startswith("vit.")}
    encoders = [
        hf("any/name", weights=saved(content, tmp_path / f"{i}-{name}"), **VIT_STATED)
        for i, content in enumerate((state, bare))
    ]
    assert encoders[0].weights == encoders[1].weights
    with torch.inference_mode():
        expected = network.vit(pixels(encoders[0])).last_hidden_state[:, 0].numpy()
    assert np.allclose(encoders[0].forward(batch()), expected, atol=1e-5)
    assert f"0-{name} (sha256 " in encoders[0].loaded


def test_a_missing_tensor_is_named(state, tmp_path):
    del state["vit.layernorm.weight"]
    with refuses("w.pth does not fit ViTModel", "missing layernorm.weight"):
        hf("any", weights=saved(state, tmp_path / "w.pth"), **VIT_STATED)


def test_a_tensor_too_many_is_named(state, tmp_path):
    state["vit.extra.weight"] = torch.zeros(3)
    with refuses("w.pth does not fit ViTModel", "unexpected", "extra.weight"):
        hf("any", weights=saved(state, tmp_path / "w.pth"), **VIT_STATED)
    bare = {key.removeprefix("vit."): value for key, value in state.items() if key.startswith("vit.")}
    with refuses("w.pth does not fit ViTModel", "unexpected extra.weight"):
        hf("any", weights=saved(bare, tmp_path / "w.pth"), **VIT_STATED)


def test_a_tensor_of_another_shape_is_named(state, tmp_path):
    state["vit.layernorm.weight"] = torch.zeros(33)
    with refuses("w.pth does not fit ViTModel", "other shapes:", "layernorm.weight (33,) for (32,)"):
        hf("any", weights=saved(state, tmp_path / "w.pth"), **VIT_STATED)


def test_a_folder_that_lacks_a_tensor_is_refused(a_folder, tmp_path):
    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with refuses("does not fit ViTModel", "missing", "more"):
        hf(str(copy))


def test_a_folder_without_weights_is_unavailable(a_folder, tmp_path):
    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    (copy / "model.safetensors").unlink()
    with pytest.raises(Unavailable, match=r"the weights of hf:.* cannot be had .*model\.safetensors") as caught:
        hf(str(copy))
    assert "\n" not in str(caught.value)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_in_a_folder_is_refused_and_not_run(a_folder, tmp_path, zipped):
    copy, marker = Path(shutil.copytree(a_folder, tmp_path / "copy")), tmp_path / "marker"
    (copy / "model.safetensors").unlink()
    content = {"layernorm.weight": Evil(str(marker))}
    torch.save(content, copy / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with refuses("the weights of hf:"):
        hf(str(copy))
    assert not marker.exists()


def test_a_torch_file_in_a_folder_is_read_without_pickle(a_folder, tmp_path):
    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    state = transformers.ViTModel.from_pretrained(copy).state_dict()
    (copy / "model.safetensors").unlink()
    torch.save(state, copy / "pytorch_model.bin")
    bare = {"weights": hf(str(copy)).weights}
    assert bare["weights"] == hf(str(a_folder)).weights


def test_beits_norm_stands_beside_the_network_in_files_of_its_pretraining(tmp_path):
    network = reference("beit", "BeitForMaskedImageModeling")
    assert network.config.use_mean_pooling
    encoder = hf(folder(network, tmp_path / "model"))
    with torch.inference_mode():
        tokens = network.layernorm(network.beit(pixels(encoder)).last_hidden_state)
    assert np.allclose(encoder.forward(batch()), tokens[:, 1:].mean(dim=1).numpy(), atol=1e-5)
    state = {key: value for key, value in network.state_dict().items() if not key.startswith("lm_head")}
    file = saved(state, tmp_path / "w.safetensors")
    assert hf("x", weights=file, config={"model_type": "beit"} | VIT, **STATED).weights == encoder.weights


def test_data2vec_that_is_not_fine_tuned_is_the_mean_of_its_normalized_patches(tmp_path):
    config = transformers.Data2VecVisionConfig(**VIT, use_mean_pooling=False, use_shared_relative_position_bias=True)
    network = transformers.Data2VecVisionModel(config).eval()
    encoder = hf(folder(network, tmp_path / "model"))
    with torch.inference_mode():
        expected = by_hand(network, pixels(encoder))[:, 1:].mean(dim=1).numpy()
    assert isinstance(network.layernorm, torch.nn.LayerNorm)
    assert np.allclose(encoder.forward(batch()), expected, atol=1e-5)


def test_a_pooling_layer_that_a_file_lacks_is_left_out(tmp_path):
    network = reference("data2vec-vision", "Data2VecVisionModel")
    assert network.pooler is None
    encoder = hf(folder(network, tmp_path / "model"))
    with torch.inference_mode():
        expected = by_hand(network, pixels(encoder))[:, 1:].mean(dim=1).numpy()
    assert np.allclose(encoder.forward(batch()), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"pretrained": False}])
def test_a_repository_that_cannot_be_reached_is_unavailable(options):
    with pytest.raises(Unavailable) as caught:
        hf("facebook/dinov2-base", **options)
    assert "hf:facebook/dinov2-base at main cannot be had" in str(caught.value)
    assert "save_pretrained" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["./gone", "/gone", "~/gone"])
def test_a_folder_that_is_not_there_is_unavailable(name):
    with pytest.raises(Unavailable, match=r"there is no folder .*gone; hf: takes ORG/REPO"):
        hf(name)


def test_a_folder_without_a_configuration_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"has no config\.json"):
        hf(str(tmp_path))


@pytest.fixture
def hub(a_folder, tmp_path, monkeypatch):
    """The hub's cache with one repository in it; gives the commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--org--repo"
    shutil.copytree(a_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return commit


def test_the_commit_that_a_revision_stands_for_is_said(hub, a_folder):
    encoder = hf("org/repo")
    assert encoder.loaded.endswith(f"tensors from org/repo at commit {hub}")
    assert encoder.weights == hf(str(a_folder)).weights
    with pytest.raises(Unavailable, match=r"hf:org/repo at v2 cannot be had"):
        hf("org/repo", revision="v2")


def test_a_repository_that_wants_its_own_code_run_is_refused(a_folder, tmp_path):
    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "mine.py").write_text("raise SystemExit('it was run')\n")
    with refuses("code of its own, which eyechart never runs"):
        hf(str(copy))


def test_transformers_own_class_goes_before_code_in_a_repository(a_folder, tmp_path):
    copy = Path(shutil.copytree(a_folder, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "mine.py").write_text("raise SystemExit('it was run')\n")
    assert hf(str(copy)).weights == hf(str(a_folder)).weights


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Unavailable, match=r"pip install 'eyechart\[hf\]'"):
        hf("org/repo")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "dinov5"}, ("'dinov5'", "dinov2")),
        ({}, ("must state a model_type", "None")),
        ({"model_type": "vit", "hidden_size": "many"}, ("vit does not take this config",)),
        ({"model_type": "vit", "patch_size": 0}, ("no network can be built",)),
        ({"model_type": "vit", "hiden_size": 32}, ("of vit has no 'hiden_size'", "Did you mean hidden_size?")),
        ({"model_type": "clip", "vision_config": {"layers": 2}}, ("of clip has no 'layers'",)),
        ({"model_type": "bert"}, ("is a bert, which does not make embeddings of images",)),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_in_one_line(config, words):
    with refuses("hf:x", *words):
        hf("x", pretrained=False, config=config, **STATED)


def test_a_stated_configuration_has_no_published_weights():
    with refuses("pretrained=False or weights="):
        hf("facebook/dinov2-base", config={"model_type": "dinov2"})


@pytest.fixture
def towers(tmp_path):
    """A function that gives a folder with both towers and a tokenizer of eight words, and the network."""

    def make(kind, model):
        from tokenizers import Tokenizer, models, pre_tokenizers, processors

        words = ["<pad>", "<s>", "</s>", "a", "photo", "of", "cat", "dog"]
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 1), ("</s>", 2)])
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
        )
        network = reference(kind, model)
        path = folder(network, tmp_path / kind)
        fast.save_pretrained(path)
        return path, network

    return make


@pytest.mark.parametrize(("kind", "model"), [("clip", "CLIPModel"), ("siglip", "SiglipModel")])
def test_texts_are_in_the_space_of_the_images(towers, kind, model):
    path, network = towers(kind, model)
    encoder = hf(path)
    ids = torch.tensor([[1, 3, 4, 5, 6, 2, 0, 0], [1, 7, 2, 0, 0, 0, 0, 0]])
    with torch.inference_mode():
        wanted = network.get_text_features(input_ids=ids, attention_mask=(ids > 0).long()).pooler_output.numpy()
    got = encoder.text(["a photo of cat", "dog"])
    assert got.dtype == np.float32
    assert got.shape == (2, encoder.dim)
    assert np.allclose(got, wanted, atol=1e-5)
    assert np.allclose(encoder.text(["dog"]), got[1:], atol=1e-5)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_tokens_are_in_no_space_of_texts(towers, pool):
    assert hf(towers("clip", "CLIPModel")[0], pool=pool).text is None


def test_a_text_that_is_cut_is_said(towers, caplog):
    encoder = hf(towers("clip", "CLIPModel")[0])
    with caplog.at_level(logging.WARNING, "eyechart"):
        encoder.text(["a photo of cat dog cat", "dog"])
        assert not caplog.records
        encoder.text(["a photo of cat dog cat dog", "dog"])
    assert "1 of 2 texts are longer than 8 tokens and were cut" in caplog.text


def test_a_tokenizer_is_asked_for_when_the_first_text_is_embedded(tmp_path):
    encoder = hf(folder(reference("clip", "CLIPModel"), tmp_path / "model"))
    assert encoder.forward(batch()).shape == (3, 16)
    with pytest.raises(Unavailable, match="the tokenizer of hf:"):
        encoder.text(["a cat"])


def test_one_tower_has_no_texts(a_folder):
    assert hf(str(a_folder)).text is None


def test_transformers_settings_are_left_as_they_were(a_folder):
    import os

    before = transformers.logging.get_verbosity(), dict(os.environ), constants.HF_HUB_OFFLINE
    hf(str(a_folder))
    assert (transformers.logging.get_verbosity(), dict(os.environ), constants.HF_HUB_OFFLINE) == before
