"""Friendly names against the libraries they come from: what a card says, what is built, and what a checkpoint becomes.

Networks of up to 100 million parameters are built as they are, with random numbers. Of larger ones the whole is on the
meta device, and a few blocks are built. Checkpoints are written here in the layout in which the weights are published,
with what stands around the backbone there: classifiers, towers for texts, poolers.
"""

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torchvision.models import VisionTransformer

from eyechart import cards
from eyechart.images.transform import square
from eyechart.registry import bind
from eyechart.specs import parse, written

CARDS = cards.cards()
LARGE = 100  # million parameters of a backbone
HUGE = 2000  # where a single block has 165 million
QUICK = 40  # up to so many million a network is built in the default suite, larger ones with a few blocks
WIDE = 224  # pixels in which networks for larger images are looked at
EXACT = 1e-5  # of the largest number


def cost(card):
    """What a forward pass takes, roughly: parameters times patches."""
    return card.parameters * (card.size / int(card.backbone.partition("/")[2] or 8)) ** 2


FIRST = {card.family: card for card in sorted(CARDS.values(), key=cost, reverse=True)}  # the cheapest comes last


def marked(several, *, quick):
    """Only the first of a family is in the default suite, and there in one of the two tests."""
    slow = {True: (), False: pytest.mark.slow}
    return [pytest.param(card, id=card.name, marks=slow[card in FIRST.values() and quick(card)]) for card in several]


FEW_TOO = [card for card in FIRST.values() if QUICK < card.parameters <= LARGE]
REAL = marked([card for card in CARDS.values() if card.parameters <= LARGE], quick=lambda card: card not in FEW_TOO)
FEW = marked([*(card for card in CARDS.values() if card.parameters > LARGE), *FEW_TOO], quick=lambda card: True)


def name_of(card):
    return parse(card.spec).argument


# -- what the libraries say, and their own networks ------------------------------------------------------------------


def timm_facts(card):
    config = timm.get_pretrained_cfg(name_of(card))
    said = {name: getattr(config, name) for name in ("crop_pct", "crop_mode", "interpolation", "mean", "std")}
    if card.family == "random weights":
        return said
    return said | {"license": config.license, "size": config.input_size[1]}


def timm_network(card, *, few, size=None):
    options = dict(parse(card.spec).options.get("model_args", {})) | (timm_few(card) if few else {})
    if timm.get_pretrained_cfg(name_of(card)).fixed_input_size:
        options |= {"img_size": size or card.size}
    return timm.create_model(name_of(card), pretrained=False, **options)


def timm_few(card):
    if "convnext" in card.name:
        return {"depths": (1, 1, 1, 1)}
    return {"depth": 1 if card.parameters > HUGE else 2}


def timm_features(network, pixels):
    if "patch16_dinov3" in network.pretrained_cfg["architecture"]:  # timm pools the mean; the authors' feature is this
        return network.forward_features(pixels)[:, 0]
    return network.forward_head(network.forward_features(pixels), pre_logits=True)


def torchvision_facts(card):
    architecture, _, tag = name_of(card).partition("/")
    weights = torchvision.models.get_model_weights(architecture)[tag]
    preset = weights.transforms()
    return {
        "size": preset.crop_size[0],
        "crop_pct": preset.crop_size[0] / preset.resize_size[0],
        "crop_mode": "center",
        "interpolation": preset.interpolation.value,
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }


def torchvision_network(card, *, few, size=None):
    assert size is None
    return torchvision.models.get_model(name_of(card).partition("/")[0], weights=None)


def torchvision_features(network, pixels):
    if not isinstance(network, VisionTransformer):
        return torch.flatten(network.avgpool(network.features(pixels)), 1)
    patches = network._process_input(pixels)
    return network.encoder(torch.cat([network.class_token.expand(len(pixels), -1, -1), patches], dim=1))[:, 0]


def open_clip_facts(card):
    architecture, _, tag = name_of(card).partition("/")
    said = open_clip.get_pretrained_cfg(architecture, tag)
    quick = said.get("quick_gelu", False) and parse(card.spec).options.get("activation") != "gelu"
    return {
        "size": open_clip.get_model_config(architecture)["vision_cfg"]["image_size"],
        "dim": open_clip.get_model_config(architecture)["embed_dim"],
        "crop_pct": 1.0,
        "crop_mode": {"shortest": "center", "squash": "squash"}[said["resize_mode"]],
        "interpolation": said["interpolation"],
        "mean": tuple(said["mean"]),
        "std": tuple(said["std"]),
        "activation": "quickgelu" if quick else "gelu",
    }


def open_clip_network(card, *, few, size=None):
    assert size is None
    return open_clip.create_model(
        name_of(card).partition("/")[0],
        pretrained=None,
        force_quick_gelu=card.activation == "quickgelu",
        device=torch.get_default_device(),
    )


def open_clip_features(network, pixels):
    return network.encode_image(pixels)


# What lies beside the weights on the hub: config.json where it differs from transformers' defaults, and
# preprocessor_config.json (that of BEiT as in microsoft/beit-large-patch16-224-pt22k-ft22k, which has as many bytes).
ON_THE_HUB = {
    "microsoft/beit-base-patch16-224-pt22k": (
        {"use_mask_token": True, "use_shared_relative_position_bias": True},
        {"feature_extractor_type": "BeitFeatureExtractor", "resample": 2},
    ),
    "facebook/data2vec-vision-base": (
        {"use_mean_pooling": False, "use_shared_relative_position_bias": True},
        {"feature_extractor_type": "BeitFeatureExtractor", "crop_size": 224, "reduce_labels": False, "resample": 3},
    ),
}
PREPARED = {
    "do_center_crop": False,
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "size": 224,
}


def hf_config(card, layers=12):
    options = ON_THE_HUB[name_of(card)][0] | {"num_hidden_layers": layers}
    return (transformers.BeitConfig if card.family == "BEiT" else transformers.Data2VecVisionConfig)(**options)


def hf_facts(card):
    config = hf_config(card)
    assert (config.patch_size, config.num_attention_heads) == (16, 12)
    resample = ON_THE_HUB[name_of(card)][1]["resample"]
    return {
        "dim": config.hidden_size,
        "size": config.image_size,
        "activation": config.hidden_act,
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "interpolation": {2: "bilinear", 3: "bicubic"}[resample],
        "mean": tuple(PREPARED["image_mean"]),
        "std": tuple(PREPARED["image_std"]),
    }


def hf_network(card, *, few, size=None):
    assert size is None
    config = hf_config(card, 2 if few else 12)
    masked = card.family == "BEiT"  # published with the head of its pretraining
    return (transformers.BeitForMaskedImageModeling if masked else transformers.Data2VecVisionModel)(config)


def hf_features(network, pixels):
    """The mean of the patches after the last norm, which stands beside BEiT, as its head does."""
    if hasattr(network, "beit"):
        tokens = network.layernorm(network.beit(pixels).last_hidden_state)
    else:
        tokens = network(pixels).last_hidden_state
    return tokens[:, 1:].mean(dim=1)


def hf_published(card, folder, network=None):
    """A folder as the hub has it; without a network there are no weights in it."""
    folder = folder / ("empty" if network is None else "published")
    (hf_config(card) if network is None else network).save_pretrained(folder)
    prepared = PREPARED | ON_THE_HUB[name_of(card)][1]
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared), encoding="utf-8")
    return folder


LIBRARIES = {
    "timm": SimpleNamespace(facts=timm_facts, network=timm_network, features=timm_features),
    "torchvision": SimpleNamespace(facts=torchvision_facts, network=torchvision_network, features=torchvision_features),
    "open_clip": SimpleNamespace(facts=open_clip_facts, network=open_clip_network, features=open_clip_features),
    "hf": SimpleNamespace(facts=hf_facts, network=hf_network, features=hf_features),
}


def library_of(card):
    return LIBRARIES[parse(card.spec).name]


def encoder_of(card, folder, network=None, **options):
    """The encoder with the weights of a network, as these are published; without a network with random ones."""
    base = parse(card.spec)
    argument, options = base.argument, base.options | options
    if network is None:
        options["pretrained"] = False
    if base.name == "hf":
        argument = str(hf_published(card, folder, network))
    elif network is not None:
        options["weights"] = str(folder / "published.safetensors")
        save_file({name: one.contiguous() for name, one in network.state_dict().items()}, options["weights"])
    return bind("encoders", written(base.name, argument, options)).call()


@pytest.fixture(autouse=True)
def small_towers_for_texts(monkeypatch):
    """Texts are no business of these tests, and their towers are larger than those for images."""
    told = open_clip.get_model_config

    def with_less_text(architecture):
        config = copy.deepcopy(told(architecture))
        config["text_cfg"] |= {"layers": 1, "vocab_size": 100}
        return config

    for module in (open_clip, open_clip.factory):
        monkeypatch.setattr(module, "get_model_config", with_less_text)


@pytest.fixture
def few_blocks(monkeypatch):
    """Networks of open_clip and torchvision with two blocks; those of timm are asked for them."""
    told, built = open_clip.get_model_config, torchvision.models.vision_transformer._vision_transformer

    def with_few_layers(architecture):
        config = told(architecture)
        config["vision_cfg"]["layers"] = 2
        return config

    def with_two(**options):
        return built(**options | {"num_layers": 2})

    def with_few(name, **options):
        return created(name, **({"depth": 2} if "siglip" in name else {}) | options)

    created = timm.create_model
    for module in (open_clip, open_clip.factory):
        monkeypatch.setattr(module, "get_model_config", with_few_layers)
    monkeypatch.setattr(open_clip.timm_model.timm, "create_model", with_few)
    monkeypatch.setattr(torchvision.models.vision_transformer, "_vision_transformer", with_two)


# -- how they are looked at ------------------------------------------------------------------------------------------

ACTIVATIONS = {
    "QuickGELU": "quickgelu",
    "GELU": "gelu",
    "GELUActivation": "gelu",
    "SiLU": "silu",
    "ReLU": "relu",
}


def activation_of(network):
    names = {type(layer).__name__ for layer in network.modules()}
    (found,) = {ACTIVATIONS[name] for name in names & set(ACTIVATIONS)}
    return "swiglu" if found == "silu" and names & {"GluMlp", "SwiGLU"} else found


def tower(network):
    """The part that makes embeddings of images."""
    return getattr(network, "visual", network)


def millions(network):
    return sum(parameter.numel() for parameter in tower(network).parameters()) / 1e6


def without_classifier(network):
    if hasattr(network, "reset_classifier"):
        network.reset_classifier(0)
    elif isinstance(network, VisionTransformer):
        network.heads = torch.nn.Identity()
    return getattr(network, "beit", network)


def pictures(transform):
    """Four photographs of different shapes, as the encoder sees them: uint8 [4, s, s, 3]."""
    china, flower = (load_sample_image(f"{name}.jpg") for name in ("china", "flower"))
    whole = [china[100:340, 200:520], china[60:393, 20:270], flower[150:350, 250:450], flower[80:340, 120:520]]
    return np.stack([square(transform, np.ascontiguousarray(one)) for one in whole])


def assert_close(got, expected):
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= EXACT * np.abs(expected).max()


def assert_says_what_the_library_says(card):
    for field, value in library_of(card).facts(card).items():
        stated = getattr(card, field)
        if field == "license":
            assert stated.lower() == value
        elif field == "crop_pct":
            assert stated == pytest.approx(value, abs=5e-5)
        else:
            assert stated == value, field


def assert_loads_what_is_published(card, folder, *, few, size, **options):
    """Write a checkpoint of the library's own network, load it, and compare the embeddings of four pictures."""
    library = library_of(card)
    torch.manual_seed(1)
    network = library.network(card, few=few, size=size).eval()
    with torch.no_grad():
        for one in network.parameters():  # or norms, biases and scales that were swapped would not show
            one.add_(0.05 * torch.rand_like(one) if one.ndim == 1 else 0.0)
    encoder = encoder_of(card, folder, network, **options, **({} if size is None else {"size": size}))
    assert "random" not in encoder.loaded
    assert encoder.dim == card.dim
    seen = pictures(encoder.transform)
    together = encoder.forward(seen)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (card.mean, card.std))
    with torch.inference_mode():
        expected = library.features(network, (torch.from_numpy(seen).permute(0, 3, 1, 2) / 255 - mean) / std)
    assert_close(together, expected.numpy())
    assert_close(np.concatenate([encoder.forward(seen[row : row + 1]) for row in range(len(seen))]), together)


@pytest.mark.parametrize("card", REAL)
def test_a_network_of_real_size_is_what_its_card_says(card, tmp_path):
    assert_says_what_the_library_says(card)
    encoder = encoder_of(card, tmp_path)
    assert encoder.loaded.startswith("random weights")
    assert encoder.dim == card.dim
    assert millions(encoder.module) == pytest.approx(card.parameters, abs=0.051)
    assert activation_of(tower(encoder.module)) == card.activation
    transform = encoder.transform
    for field in ("size", "crop_mode", "interpolation", "mean", "std"):
        assert getattr(transform, field) == getattr(card, field)
    assert transform.crop_pct == pytest.approx(card.crop_pct, abs=5e-5)
    del encoder
    large = card.size > 256 and "vit" in card.backbone.lower()
    assert_loads_what_is_published(card, tmp_path, few=False, size=WIDE if large else None)


@pytest.mark.parametrize("card", FEW)
def test_a_network_on_the_meta_device_is_what_its_card_says(card, tmp_path, request):
    assert_says_what_the_library_says(card)
    with torch.device("meta"):
        whole = library_of(card).network(card, few=False)
        state = {name.removeprefix("beit."): tensor.shape for name, tensor in whole.state_dict().items()}
        bare = without_classifier(whole)
    assert millions(bare) == pytest.approx(card.parameters, abs=0.051)
    assert activation_of(tower(bare)) == card.activation
    assert {name: tensor.shape for name, tensor in bare.state_dict().items()}.items() <= state.items()
    request.getfixturevalue("few_blocks")
    few = {"model_args": timm_few(card)} if card.spec.startswith("timm:") else {}
    size = 64 if card.parameters > HUGE else WIDE if card.size > 256 else None
    assert_loads_what_is_published(card, tmp_path, few=True, size=size, **few)


DEFAULTS = {
    "timm": lambda bare: timm.get_pretrained_cfg(bare).tag,
    "torchvision": lambda bare: torchvision.models.get_model_weights(bare)["DEFAULT"].name,
}


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if parse(card.spec).name in DEFAULTS])
def test_the_bare_name_of_a_network_has_the_card_of_the_weights_that_its_library_takes_then(name):
    library = parse(CARDS[name].spec).name
    bare, *tag = re.split("[./]", name_of(CARDS[name]))
    found = cards.cards_of(bind("encoders", f"{library}:{bare}").text)
    assert (CARDS[name] in found) == (tag == [DEFAULTS[library](bare)])


def test_beit_is_published_with_names_of_older_versions_and_a_head(tmp_path):
    folder = hf_published(CARDS["beit_b16"], tmp_path, hf_network(CARDS["beit_b16"], few=True))
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert {"beit.encoder.layer.1.attention.attention.query.weight", "lm_head.weight", "layernorm.bias"} <= names
    assert not any("pooler" in name for name in names)


# -- weights without a name, as docs/encoders.md says to load them ---------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"
NOT_HERE = PAGE.read_text(encoding="utf-8").partition("## Not here")[2]


@pytest.fixture
def vit():
    """timm's own network of two blocks, with a pattern of numbers in place of trained ones."""
    torch.manual_seed(2)
    return timm.create_model("vit_small_patch16_224.dino", pretrained=False, depth=2, img_size=32).eval()


def assert_same_features(network, file, pool, **options):
    options |= {"weights": str(file), "size": 32, "model_args": {"depth": 2}, "pool": pool}
    encoder = bind("encoders", written("timm", "vit_small_patch16_224.dino", options)).call()
    seen = pictures(encoder.transform)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (encoder.transform.mean, encoder.transform.std))
    with torch.inference_mode():
        tokens = network.forward_features((torch.from_numpy(seen).permute(0, 3, 1, 2) / 255 - mean) / std)
    assert_close(encoder.forward(seen), (tokens[:, 0] if pool == "cls" else tokens[:, 1:].mean(dim=1)).numpy())


def test_the_teacher_of_ibot_loads_as_it_is(vit, tmp_path):
    assert "checkpoint_teacher.pth" in NOT_HERE
    # extract_backbone_weights.py of the authors: the tensors without the prefix `backbone.`, under `state_dict`
    torch.save({"state_dict": dict(vit.state_dict())}, tmp_path / "checkpoint_teacher.pth")
    assert_same_features(vit, tmp_path / "checkpoint_teacher.pth", "cls")


def theirs(name):
    """A tensor's name in mmpretrain's MaskFeatViT."""
    if name.startswith("norm."):
        return f"backbone.ln1.{name.partition('.')[2]}"
    for ours, other in (
        ("blocks.", "layers."),
        (".norm1.", ".ln1."),
        (".norm2.", ".ln2."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
        ("patch_embed.proj.", "patch_embed.projection."),
    ):
        name = name.replace(ours, other)
    return f"backbone.{name}"


def test_the_lines_for_maskfeat_give_tensors_timms_names(vit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = {theirs(name): tensor for name, tensor in vit.state_dict().items()}
    assert "backbone.layers.1.attn.qkv.bias" in published
    of_pretraining = {"backbone.mask_token": torch.ones(1, 1, 384), "neck.weight": torch.ones(2, 2)}
    torch.save({"state_dict": published | of_pretraining, "meta": {"epoch": 300}}, "maskfeat.pth")
    (code,) = re.findall(r"```python\n(.*?)```", NOT_HERE, flags=re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    assert_same_features(vit, tmp_path / "maskfeat.safetensors", "mean")
