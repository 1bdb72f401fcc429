import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip as library
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from open_clip.transformer import QuickGELU
from PIL import Image
from safetensors.torch import save_file

from eyechart.embedding.loading import load_encoder
from eyechart.encoders import open_clip as plugin
from eyechart.encoders.open_clip import open_clip
from eyechart.errors import Unavailable
from eyechart.images.transform import square
from eyechart.registry import bind
from samples import picture, refuses, smooth

LINES = ["a photo of a cat", "two dogs"]
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}


def on_timm(name, pool, projection, size):
    return {"timm_model_name": name, "timm_pool": pool, "timm_proj": projection, "image_size": size}


# Tiny ones of every kind of tower that open_clip has.
CONFIGS = {
    "tiny": {"vision_cfg": VISION},
    "tiny-mean": {"vision_cfg": VISION | {"pool_type": "avg", "final_ln_after_pool": True}},
    "tiny-resnet": {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32}},
    "tiny-head": {"vision_cfg": on_timm("test_convnext", "", "linear", 64)},
    "tiny-mlp": {"vision_cfg": on_timm("test_convnext", "", "mlp", 64)},
    "tiny-classifier": {"vision_cfg": on_timm("test_vit", "token", None, 160), "custom_text": True},
    "tiny-siglip": {
        "vision_cfg": on_timm("test_vit", "map", "none", 160),
        "custom_text": True,
        "init_logit_bias": -10,
        "embed_dim": 64,
    },
    "tiny-coca": {
        "vision_cfg": VISION | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": TEXT | {"context_length": 76, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": TEXT | {"context_length": 76, "attn_pooler_heads": 2},
        "custom_text": True,
    },
    "tiny-tanh": {"vision_cfg": VISION, "text_cfg": TEXT | {"act_kwargs": {"approximate": "tanh"}}},
    "tiny-hosted": {"vision_cfg": VISION, "text_cfg": TEXT | {"hf_tokenizer_name": "someone/words"}},
    "tiny-foreign": {"vision_cfg": VISION, "text_cfg": {"hf_model_name": "someone/words"}},
}
TAG = {"hf_hub": "someone/tiny/", "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.5, 0.25), "interpolation": "bilinear"}
TAGS = {"plain": TAG | {"resize_mode": "squash"}, "quick": TAG | {"resize_mode": "shortest", "quick_gelu": True}}


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """open_clip as it would be with some more models."""
    for name, config in CONFIGS.items():
        whole = {"embed_dim": 24, "text_cfg": TEXT} | config
        monkeypatch.setitem(library.factory._MODEL_CONFIGS, name, whole)
    monkeypatch.setitem(library.pretrained._PRETRAINED, "tiny", TAGS)


def theirs(name, path=None, **options):
    """A network as open_clip itself builds and loads it."""
    torch.manual_seed(5)
    return library.create_model(name, pretrained=path, **options).eval()


def saved(state, path):
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return str(path)


@pytest.fixture
def weights(tmp_path):
    return saved(theirs("tiny").state_dict(), tmp_path / "weights.safetensors")


def batch_of(n, size=32):
    return np.stack([picture(i, size, size) for i in range(n)])


def normalized(encoder, batch):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.transform.mean, encoder.transform.std))
    return (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std


def images_by(network, encoder, batch):
    with torch.inference_mode():
        return network.encode_image(normalized(encoder, batch), normalize=False).numpy()


def texts_by(network, name, lines):
    with torch.inference_mode():
        return network.encode_text(library.get_tokenizer(name)(lines), normalize=False).numpy()


def quick_layers(encoder, tower="visual"):
    return sum(isinstance(layer, QuickGELU) for layer in getattr(encoder.module, tower).modules())


def test_the_features_are_those_of_open_clip_and_not_normalized(weights):
    encoder = open_clip("tiny", weights=weights)
    got = encoder.forward(batch_of(3))
    assert got.dtype == np.float32
    assert got.shape == (3, encoder.dim) == (3, 24)
    assert np.allclose(got, images_by(theirs("tiny", weights), encoder, batch_of(3)), atol=1e-5)
    assert not np.allclose(np.linalg.norm(got, axis=1), 1, atol=0.1)


@pytest.mark.parametrize("name", ["tiny", "tiny-coca", "tiny-classifier"])
def test_texts_are_embedded_as_open_clip_embeds_them(name, tmp_path):
    network = theirs(name)
    encoder = open_clip(name, weights=saved(network.state_dict(), tmp_path / "w.safetensors"))
    got = encoder.text(LINES)
    assert got.dtype == np.float32
    assert got.shape == (2, encoder.dim)
    assert np.allclose(got, texts_by(network, name, LINES), atol=1e-4)


def test_tokens_are_those_of_open_clips_own_tokenizer():
    texts = {name: library.get_model_config(name)["text_cfg"] for name in library.list_models()}
    own = {name for name, text in texts.items() if not text.get("hf_tokenizer_name")}
    for name in {str(texts[name].get("context_length")): name for name in sorted(own)}.values():
        seen = []
        with torch.inference_mode():
            stand_in = SimpleNamespace(
                logit_scale=torch.zeros(1), encode_text=lambda some, normalize, seen=seen: seen.append(some) or some
            )
            plugin._texts(plugin._described(name))(stand_in, LINES)
        assert torch.equal(seen[0], library.get_tokenizer(name)(LINES))
    assert not [name for name in own if "siglip" in name.lower() and not name.startswith("tiny")]


def test_many_texts_are_embedded_in_parts(weights, monkeypatch):
    encoder = open_clip("tiny", weights=weights)
    lines = [f"a photo of {n} cats" for n in range(7)]
    together = encoder.text(lines)
    monkeypatch.setattr(plugin, "_TEXTS", 3)
    assert np.allclose(encoder.text(lines), together, atol=1e-4)


def test_texts_that_are_too_long_are_cut_and_that_is_said(weights, caplog):
    open_clip("tiny", weights=weights).text(["cat " * 75])
    assert not caplog.records
    open_clip("tiny", weights=weights).text(["a cat", "cat " * 76])
    assert "1 of 2 texts are longer than 77 tokens and were cut" in caplog.text


PROJECTIONS = {
    "tiny": (32, lambda visual: lambda x: x @ visual.proj),
    "tiny-mean": (32, lambda visual: lambda x: x @ visual.proj),
    "tiny-coca": (24, lambda visual: lambda x: x @ visual.proj),
    "tiny-resnet": (256, lambda visual: visual.attnpool.c_proj),
    "tiny-head": (64, lambda visual: visual.head),
    "tiny-mlp": (64, lambda visual: visual.head),
    "tiny-classifier": (64, lambda visual: visual.trunk.get_classifier()),
}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_the_projection_of_what_is_not_projected_is_what_is(name, tmp_path):
    width, projection_of = PROJECTIONS[name]
    network = theirs(name)
    path = saved(network.state_dict(), tmp_path / "w.safetensors")
    projected, features = open_clip(name, weights=path), open_clip(name, weights=path, project=False)
    batch = batch_of(2, projected.transform.size)
    assert features.dim == width
    assert features.text is None
    with torch.inference_mode():
        expected = projection_of(network.visual)(torch.from_numpy(features.forward(batch))).numpy()
    assert np.allclose(projected.forward(batch), expected, atol=1e-5)


def test_where_pooling_makes_the_embedding_there_is_no_projection_to_leave_out():
    with refuses("open_clip:tiny-siglip has no projection to leave out", "project=True"):
        open_clip("tiny-siglip", pretrained=False, project=False)


@pytest.mark.parametrize(("name", "size", "width"), [("ViT-S-32-alt", 64, 384), ("RN50", 64, 2048)])
def test_published_architectures_have_their_widths(name, size, width):
    assert open_clip(name, pretrained=False, size=size, project=False).dim == width


def test_the_tag_of_openai_means_quickgelu_in_both_towers():
    encoder = open_clip("ViT-B-32/openai", pretrained=False, size=32)
    assert quick_layers(encoder) == quick_layers(encoder, "transformer") == 12
    assert encoder.loaded == "random weights (seed 0), with QuickGELU"
    assert (encoder.dim, encoder.stride) == (512, 32)


def test_the_activation_is_that_of_the_weights_unless_it_is_given(weights):
    auto = open_clip("tiny/quick", weights=weights)
    assert (quick_layers(auto), quick_layers(auto, "transformer")) == (2, 1)
    assert auto.loaded.endswith(", with QuickGELU")
    mistaken = open_clip("tiny/quick", weights=weights, activation="gelu")
    assert (quick_layers(mistaken), quick_layers(mistaken, "transformer")) == (0, 0)
    assert mistaken.loaded.endswith(", with GELU where open_clip says QuickGELU")
    given = open_clip("tiny/plain", weights=weights, activation="quickgelu")
    assert given.loaded.endswith(", with QuickGELU where open_clip says GELU")
    rows = [encoder.forward(batch_of(2)) for encoder in (auto, mistaken, given)]
    assert np.abs(rows[0] - rows[1]).max() > 1e-3
    assert np.array_equal(rows[0], rows[2])


def test_quickgelu_gives_the_features_of_open_clip_when_it_is_forced(weights):
    encoder = open_clip("tiny/quick", weights=weights)
    network = theirs("tiny", weights, force_quick_gelu=True)
    assert np.allclose(encoder.forward(batch_of(2)), images_by(network, encoder, batch_of(2)), atol=1e-5)


def test_what_every_published_weight_was_trained_with_is_known():
    quick = {name for name, tag in library.list_pretrained() if plugin._described(f"{name}/{tag}").quick}
    assert all(plugin._described(f"{name}/openai").quick for name in quick if "openai" in plugin._described(name).tags)
    assert plugin._described("ViT-B-32/laion400m_e32").quick
    assert plugin._described("roberta-ViT-B-32/laion2b_s12b_b32k").quick  # said by the architecture alone
    assert not plugin._described("ViT-B-32/laion2b_s34b_b79k").quick
    assert plugin._described("ViT-B-16-quickgelu").quick


def test_quickgelu_where_another_kind_of_gelu_is_set_is_refused():
    with refuses("open_clip:tiny-tanh cannot be built with these options", "QuickGELU"):
        open_clip("tiny-tanh", pretrained=False, activation="quickgelu")


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """A model whose text tower and tokenizer are those of transformers, and both towers without a GELU of open_clip."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words.train_from_iterator(LINES, tokenizers.trainers.WordLevelTrainer(special_tokens=special))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(tmp_path / "words")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.RobertaConfig(vocab_size=32, pad_token_id=0, **sizes).save_pretrained(tmp_path / "words")
    text = {"hf_model_name": str(tmp_path / "words"), "hf_tokenizer_name": str(tmp_path / "words")}
    config = {"embed_dim": 24, "vision_cfg": on_timm("test_convnext", "", "linear", 64), "text_cfg": text}
    monkeypatch.setitem(library.factory._MODEL_CONFIGS, "foreign", config)


def test_text_towers_of_transformers_embed_as_in_open_clip(foreign, tmp_path):
    network = theirs("foreign", pretrained_text=False)
    encoder = open_clip("foreign", weights=saved(network.state_dict(), tmp_path / "w.safetensors"))
    assert np.allclose(encoder.text(LINES), texts_by(network, "foreign", LINES), atol=1e-4)
    assert np.allclose(encoder.forward(batch_of(2, 64)), images_by(network, encoder, batch_of(2, 64)), atol=1e-5)


def test_quickgelu_where_there_is_none_to_replace_is_refused(foreign):
    with refuses("open_clip:foreign has no layer where QuickGELU could be", '"auto"'):
        open_clip("foreign", pretrained=False, activation="quickgelu")


WAYS = {
    repr(way): way
    for name, tag in library.list_pretrained()
    for way in [merge_preprocess_dict(PreprocessCfg(), library.get_pretrained_cfg(name, tag))]
}
WAYS["longest"] = merge_preprocess_dict(PreprocessCfg(), {"resize_mode": "longest", "fill_color": 117})


@pytest.mark.parametrize("way", WAYS.values(), ids=range(len(WAYS)))
def test_the_transform_gives_the_pixels_of_open_clips_own(way):
    transform = plugin._transform(SimpleNamespace(image_size=(96, 96)), way, "any")
    own = image_transform_v2(PreprocessCfg(**way | {"size": 96}), is_train=False)
    mean, std = (torch.tensor(way[v]).view(3, 1, 1) for v in ("mean", "std"))
    for seed, (height, width) in enumerate([(300, 200), (97, 333), (40, 31)]):
        image = smooth(seed, height, width)
        expected = (own(Image.fromarray(image)) * std + mean).permute(1, 2, 0).numpy() * 255
        assert np.abs(square(transform, image) - expected).max() <= 1.01


def test_the_transform_is_that_of_the_tag():
    transform = open_clip("tiny/plain", pretrained=False).transform
    assert (transform.size, transform.crop_pct, transform.crop_mode) == (32, 1.0, "squash")
    assert (transform.mean, transform.std, transform.interpolation) == (TAG["mean"], TAG["std"], "bilinear")
    assert open_clip("tiny/quick", pretrained=False).transform.crop_mode == "center"


def test_without_a_tag_the_transform_is_what_all_tags_share_or_the_usual_one():
    assert plugin._described("ViT-B-16-SigLIP").preprocess["mean"] == (0.5, 0.5, 0.5)
    assert plugin._described("ViT-B-16-SigLIP").preprocess["resize_mode"] == "squash"
    assert open_clip("tiny", pretrained=False).transform.mean == library.OPENAI_DATASET_MEAN


@pytest.mark.parametrize("name", ["tiny", "tiny-classifier", "tiny-head"])
def test_another_size_gives_the_features_of_open_clip_at_that_size(name, tmp_path):
    path = saved(theirs(name).state_dict(), tmp_path / "w.safetensors")
    encoder = open_clip(name, weights=path, size=96)
    expected = images_by(theirs(name, path, force_image_size=96), encoder, batch_of(2, 96))
    assert encoder.transform.size == 96
    assert np.allclose(encoder.forward(batch_of(2, 96)), expected, atol=1e-5)


def test_resampled_position_embeddings_are_mentioned(weights, caplog):
    with caplog.at_level("INFO"):
        open_clip("tiny", weights=weights, size=48)
    assert "position embeddings resampled from 17 to 37" in caplog.text


@pytest.mark.parametrize(
    ("name", "stride"), [("tiny", 8), ("tiny-resnet", 32), ("tiny-classifier", 16), ("tiny-head", 1)]
)
def test_the_stride_is_the_side_of_a_patch_where_there_are_patches(name, stride):
    assert open_clip(name, pretrained=False).stride == stride


@pytest.mark.parametrize(("name", "size"), [("tiny", 33), ("tiny-resnet", 48), ("tiny-classifier", 100), ("tiny", 4)])
def test_a_size_that_would_leave_pixels_out_is_refused(name, size):
    with refuses(f"open_clip:{name} takes images whose size is a multiple of", f"got {size}"):
        open_clip(name, pretrained=False, size=size)


def test_a_size_below_one_is_refused():
    with refuses("size must be at least 1; got 0"):
        open_clip("tiny", pretrained=False, size=0)


def test_the_position_embeddings_of_a_resnet_are_not_resampled(tmp_path):
    path = saved(theirs("tiny-resnet").state_dict(), tmp_path / "w.safetensors")
    with refuses("visual.attnpool.positional_embedding (5, 256) for (10, 256)", "size="):
        open_clip("tiny-resnet", weights=path, size=96)


def test_what_was_loaded_is_said(weights):
    assert "weights.safetensors (sha256 " in open_clip("tiny", weights=weights).loaded
    assert open_clip("tiny", pretrained=False, seed=3).loaded == "random weights (seed 3), with GELU"


def test_torch_files_of_training_runs_hold_the_same_weights(weights, tmp_path):
    state = {f"module.{name}": value for name, value in theirs("tiny").state_dict().items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state, "optimizer": {"state": {}}}, tmp_path / "epoch_3.pt")
    assert open_clip("tiny", weights=str(tmp_path / "epoch_3.pt")).weights == open_clip("tiny", weights=weights).weights


def test_the_state_dict_of_an_archive_of_openai_is_understood(weights, tmp_path):
    state = {name: value.half() for name, value in theirs("tiny").state_dict().items()}
    numbers = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    encoder = open_clip("tiny", weights=saved(state | numbers, tmp_path / "half.safetensors"))
    assert np.allclose(encoder.forward(batch_of(2)), open_clip("tiny", weights=weights).forward(batch_of(2)), atol=0.02)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_is_refused_in_one_line(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "ViT-B-32.pt")
    with refuses("ViT-B-32.pt is a TorchScript archive", ".safetensors"):
        open_clip("ViT-B-32/openai", weights=str(tmp_path / "ViT-B-32.pt"))


def test_a_missing_tensor_is_named(tmp_path):
    state = theirs("tiny").state_dict()
    state.pop("visual.ln_post.weight")
    with refuses("w.safetensors does not fit CLIP", "missing visual.ln_post.weight"):
        open_clip("tiny", weights=saved(state, tmp_path / "w.safetensors"))


def test_a_tensor_too_many_is_named(tmp_path):
    state = theirs("tiny").state_dict() | {"visual.extra": torch.zeros(3)}
    with refuses("unexpected visual.extra"):
        open_clip("tiny", weights=saved(state, tmp_path / "w.safetensors"))


def test_random_weights_leave_the_random_numbers_of_others_alone():
    before = torch.get_rng_state()
    for name in PROJECTIONS:
        open_clip(name, pretrained=False, project=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_weights_depend_on_their_seed_alone():
    torch.manual_seed(1)
    first = open_clip("tiny", pretrained=False, seed=7)
    torch.manual_seed(2)
    assert open_clip("tiny", pretrained=False, seed=7).weights == first.weights
    assert open_clip("tiny", pretrained=False, seed=8).weights != first.weights


def test_the_root_logger_is_left_as_it_was(weights, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    open_clip("tiny", weights=weights, size=48).text(LINES)
    assert logging.root.handlers == []


def test_a_misspelt_model_is_answered_with_the_nearest():
    with refuses("no model called 'ViT-B32'", "ViT-B-32"):
        open_clip("ViT-B32/openai")


def test_a_misspelt_tag_is_answered_with_the_nearest_and_with_all():
    with refuses("no weights called 'opnai' for ViT-B-32", "Did you mean openai?", "laion2b_s34b_b79k"):
        open_clip("ViT-B-32/opnai")


def test_a_name_without_a_tag_says_no_weights():
    with refuses("open_clip:tiny does not say which weights", "plain, quick", 'weights="FILE"', "pretrained=False"):
        open_clip("tiny")
    with refuses("open_clip:tiny-resnet", "open_clip publishes none"):
        open_clip("tiny-resnet")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A folder in place of the hub: what lies in ORG/REPO there can be had, nothing else."""

    def download(repo_id, filename, **_):
        path = tmp_path / "hub" / repo_id / filename
        if not path.is_file():
            raise OSError(f"{repo_id} has no {filename}\nand more lines")
        return str(path)

    monkeypatch.setattr(library.pretrained, "hf_hub_download", download)
    (tmp_path / "hub" / "someone" / "tiny").mkdir(parents=True)
    return tmp_path / "hub" / "someone" / "tiny"


def test_published_weights_come_from_the_hub(hub, weights):
    Path(weights).rename(hub / "open_clip_model.safetensors")
    encoder = open_clip("tiny/quick")
    assert encoder.loaded == "published weights tiny/quick, with QuickGELU"
    network = theirs("tiny", str(hub / "open_clip_model.safetensors"), force_quick_gelu=True)
    assert np.allclose(encoder.forward(batch_of(2)), images_by(network, encoder, batch_of(2)), atol=1e-5)


def test_a_repository_of_the_hub_describes_its_model(hub, weights):
    Path(weights).rename(hub / "open_clip_model.safetensors")
    content = {
        "model_cfg": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT},
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "longest"},
    }
    (hub / "open_clip_config.json").write_text(json.dumps(content))
    encoder = open_clip("hf-hub:someone/tiny")
    assert encoder.loaded == "published weights hf-hub:someone/tiny, with QuickGELU"
    assert (encoder.transform.crop_mode, encoder.transform.mean) == ("border", (0.5, 0.5, 0.5))
    assert encoder.text(LINES).shape == (2, 24)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_cfg": 3}'])
def test_a_repository_without_a_model_is_refused(hub, content):
    (hub / "open_clip_config.json").write_text(content)
    with refuses("open_clip_config.json of someone/tiny is no configuration of open_clip"):
        open_clip("hf-hub:someone/tiny")


@pytest.mark.parametrize(
    ("name", "place"), [("tiny/plain", "someone/tiny"), ("hf-hub:a/b", "a/b/open_clip_config.json")]
)
def test_published_weights_that_cannot_be_had_are_never_replaced_by_random_ones(hub, name, place):
    with refuses(f"open_clip:{name} cannot be had", "hub cache", place, 'weights="FILE"') as caught:
        open_clip(name)
    assert isinstance(caught.value, Unavailable)


def test_the_hub_really_asked_says_the_same_without_a_network():
    with refuses("the weights of open_clip:ViT-B-32/openai cannot be had", "timm/vit_base_patch32_clip_224.openai"):
        open_clip("ViT-B-32/openai")


def test_a_tokenizer_that_cannot_be_had_stands_in_the_way_of_texts_alone():
    pytest.importorskip("transformers")
    encoder = open_clip("tiny-hosted", pretrained=False)
    assert encoder.forward(batch_of(1)).shape == (1, 24)
    with refuses("open_clip:tiny-hosted reads texts as someone/words does, which cannot be had") as caught:
        encoder.text(LINES)
    assert isinstance(caught.value, Unavailable)


def test_a_text_tower_that_needs_transformers_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(plugin._towers.importlib.util, "find_spec", lambda _: None)
    with refuses("open_clip:tiny-foreign need transformers", "pip install 'eyechart[hf]'") as caught:
        open_clip("tiny-foreign", pretrained=False)
    assert isinstance(caught.value, Unavailable)


def test_an_encoder_that_is_found_again_still_knows_texts(weights):
    bound = bind("encoders", f'open_clip:tiny/plain(weights="{weights}")')
    first = load_encoder(bound)
    again = load_encoder(bound)
    assert again.build is not None
    assert again.key == first.key
    assert np.array_equal(again.text(LINES), first.text(LINES))


def test_whatever_changes_the_features_changes_the_key(weights):
    texts = [f'open_clip:tiny/plain(weights="{weights}"{more})' for more in ("", ", size=64", ", project=False")]
    texts += [f'open_clip:tiny/quick(weights="{weights}"{more})' for more in ("", ', activation="gelu"')]
    keys = [load_encoder(bind("encoders", text)).key for text in texts]
    assert len(set(keys)) == len(keys)
