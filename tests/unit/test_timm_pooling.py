"""Every pool of timm: against a plain re-computation from what hooks see inside the network."""

import contextlib
import functools

import numpy as np
import pytest
import torch

from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _pooling
from eyechart.encoders.timm import timm
from eyechart.registry import bind
from samples import picture, refuses

SMALL = {"embed_dim": 32, "depth": 5, "num_heads": 2}
NETWORKS = {
    "vit_tiny_patch16_224": (48, SMALL),
    "vit_small_patch14_reg4_dinov2": (42, SMALL),
    "eva02_tiny_patch14_224": (42, SMALL | {"num_heads": 1}),
    "beit_base_patch16_224": (48, SMALL),
    "deit_tiny_distilled_patch16_224": (48, SMALL),
    "resnet18": (64, {"layers": (1, 1, 1, 1)}),
    "convnext_atto": (64, {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}),
    "swin_tiny_patch4_window7_224": (64, {"embed_dim": 8, "num_heads": (1, 2, 2, 2)}),
}
TRANSFORMERS = [name for name in NETWORKS if "patch1" in name]
LAYER_NORMED = ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "deit_tiny_distilled_patch16_224"]
BEFORE = {"vit_small_patch14_reg4_dinov2": 5, "deit_tiny_distilled_patch16_224": 2}


@functools.cache
def batch(size):
    return np.stack([picture(i, size, size) for i in range(3)])


def made(name, **options):
    size, arguments = NETWORKS[name]
    encoder = timm(name, pretrained=False, size=size, model_args=arguments or None, **options)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():  # fresh norms do nothing: scale 1, shift 0
        for path, value in encoder.module.named_parameters():
            if "norm" in path:
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return encoder


@contextlib.contextmanager
def watched(modules):
    """What each of some modules gives in the block, as arrays."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _, __, out, i=i: seen.__setitem__(i, out.numpy().copy()))
        for i, module in enumerate(modules)
    ]
    yield seen
    for hook in hooks:
        hook.remove()


def run(encoder, modules):
    with watched(modules) as seen:
        rows = encoder.forward(batch(encoder.transform.size))
    return rows, seen


def normed(network, tokens):
    """The final layer norm, by hand."""
    norm = network.norm
    if isinstance(norm, torch.nn.Identity):
        return tokens
    centered = tokens - tokens.mean(axis=-1, keepdims=True)
    scaled = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + norm.eps)
    return scaled * norm.weight.numpy() + norm.bias.numpy()


def gem(places):
    return np.cbrt((np.maximum(places, 1e-6) ** 3).mean(axis=1))


def by_hand(pool, tokens, before):
    patches = tokens[:, before:]
    parts = {
        "cls": lambda: tokens[:, 0],
        "mean": lambda: patches.mean(axis=1),
        "cls+mean": lambda: np.hstack([tokens[:, 0], patches.mean(axis=1)]),
        "gem": lambda: gem(patches),
    }
    return parts[pool]()


def close(rows, expected):
    return rows.shape == expected.shape and np.allclose(rows, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean", "gem"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_pools_of_a_transformer_are_those_of_its_normalized_last_tokens(name, pool):
    encoder = made(name, pool=pool)
    rows, seen = run(encoder, [encoder.module.blocks[-1]])
    assert close(rows, by_hand(pool, normed(encoder.module, seen[0]), BEFORE.get(name, 1)))


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean", "gem"])
@pytest.mark.parametrize(
    ("name", "layer", "block"), [(name, 2, 2) for name in TRANSFORMERS] + [(TRANSFORMERS[1], -2, 3)]
)
def test_a_layer_of_a_transformer_is_one_block_through_the_final_norm(name, layer, block, pool):
    encoder = made(name, pool=pool, layer=layer)
    rows, seen = run(encoder, [encoder.module.blocks[block]])
    assert close(rows, by_hand(pool, normed(encoder.module, seen[0]), BEFORE.get(name, 1)))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_tokens4_are_the_class_tokens_of_the_last_four_blocks_each_through_the_final_norm(name):
    encoder = made(name, pool="tokens4")
    rows, seen = run(encoder, list(encoder.module.blocks)[-4:])
    assert close(rows, np.hstack([normed(encoder.module, seen[i])[:, 0] for i in range(4)]))


def test_the_last_layer_with_default_pool_is_the_class_token_of_the_whole_network():
    name = "vit_tiny_patch16_224"
    assert close(made(name, layer=-1).forward(batch(48)), made(name, pool="cls").forward(batch(48)))
    assert close(made(name, layer=4).forward(batch(48)), made(name).forward(batch(48)))


def stage(encoder, number):
    """The module that makes timm's feature map of a number."""
    network = encoder.module
    if hasattr(network, "layer4"):
        return [network.act1, network.layer1, network.layer2, network.layer3, network.layer4][number]
    return (network.stages if hasattr(network, "stages") else network.layers)[number]


def places(feature_map, name):
    rows = feature_map if name.startswith("swin") else feature_map.transpose(0, 2, 3, 1)
    return rows.reshape(len(rows), -1, rows.shape[-1])


@pytest.mark.parametrize("pool", ["default", "mean", "gem"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_layer_of_another_network_is_one_stage(name, layer, pool):
    encoder = made(name, pool=pool, layer=layer)
    rows, seen = run(encoder, [stage(encoder, layer)])
    assert close(rows, by_hand("mean" if pool == "default" else pool, places(seen[0], name), 0))


@pytest.mark.parametrize("pool", ["mean", "gem"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224"])
def test_pools_of_a_feature_map_are_over_its_places(name, pool):
    encoder = made(name, pool=pool)
    last = stage(encoder, -1)
    rows, seen = run(encoder, [last])
    found = places(seen[0], name)
    assert close(rows, by_hand(pool, normed(encoder.module, found) if "swin" in name else found, 0))


def test_a_generalized_mean_lies_between_mean_and_maximum_and_never_below_its_floor():
    values = torch.tensor([[[1.0, -5.0], [3.0, -1.0]]])
    assert np.allclose(_pooling.generalized_mean(values).numpy(), [[14 ** (1 / 3), 1e-6]])


@pytest.mark.parametrize(
    ("name", "arguments", "before"),
    [
        ("cait_xxs24_224", {"embed_dim": 16, "depth": 1, "num_heads": 2}, 1),
        ("xcit_nano_12_p8_224", {"embed_dim": 16, "depth": 1, "num_heads": 2}, 1),
        ("volo_d1_224", None, 1),
    ],
)
def test_class_tokens_are_no_part_of_a_mean_where_they_come_late(name, arguments, before):
    encoder = timm(name, pretrained=False, size=64, pool="mean", model_args=arguments)
    rows, seen = run(encoder, [encoder.module.norm])
    assert close(rows, seen[0][:, before:].mean(axis=1))


def test_a_network_that_ends_in_class_tokens_has_no_mean():
    arguments = {"base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (1, 1, 1)}
    with refuses("timm:pit_ti_224 ends in class tokens alone", "'gem'", '"cls"'):
        timm("pit_ti_224", pretrained=False, size=64, pool="gem", model_args=arguments)
    assert timm("pit_ti_224", pretrained=False, size=64, pool="cls", model_args=arguments).dim == 8


def test_a_network_that_ends_in_several_maps_has_no_mean():
    arguments = {"embed_dims": (64, 64, 64, 64), "serial_depths": (1, 1, 1, 1), "parallel_depth": 1}
    with refuses("timm:coat_tiny ends in several feature maps", "'mean'"):
        timm("coat_tiny", pretrained=False, size=64, pool="mean", model_args=arguments)


@pytest.mark.parametrize("layer", [6, -7, 100])
def test_a_layer_out_of_range_is_answered_with_the_number_there_are(layer):
    with refuses("timm:test_vit has 6 layers", "0 to 5", "-6 to -1", f"got {layer}"):
        timm("test_vit", pretrained=False, size=32, layer=layer)


def test_a_layer_of_a_transformer_without_any_such_token_is_a_mean():
    arguments = {"embed_dim": 16, "depth": 2, "num_heads": 1}
    encoder = timm("test_vit_relpos", pretrained=False, size=32, layer=0, model_args=arguments)
    rows, seen = run(encoder, [encoder.module.blocks[0]])
    assert close(rows, normed(encoder.module, seen[0]).mean(axis=1))


def test_tokens4_of_fewer_than_four_blocks_is_refused():
    with refuses("timm:test_vit has 2 layers"):
        timm("test_vit", pretrained=False, size=32, pool="tokens4", model_args={"depth": 2})


def test_tokens4_has_no_single_layer():
    with refuses("tokens4", "leave layer=2 out"):
        timm("test_vit", pretrained=False, size=32, pool="tokens4", layer=2)


@pytest.mark.parametrize("pool", ["tokens4", "cls"])
def test_pools_of_class_tokens_need_a_class_token(pool):
    with refuses("timm:test_resnet has no class token", repr(pool)):
        timm("test_resnet", pretrained=False, pool=pool)


def test_a_class_token_that_comes_after_the_blocks_is_in_none_of_them():
    arguments = {"embed_dim": 16, "depth": 2, "num_heads": 2}
    with refuses("timm:cait_xxs24_224 has no class token in its single layers", '"mean"'):
        timm("cait_xxs24_224", pretrained=False, size=64, pool="cls", layer=0, model_args=arguments)
    assert timm("cait_xxs24_224", pretrained=False, size=64, layer=0, model_args=arguments).dim == 16


def test_a_network_whose_layers_timm_cannot_normalize_is_refused_in_one_line():
    arguments = {"embed_dim": 8, "stages": (1, 1, 1, 1)}
    with refuses("timm gives no single layers of hiera_tiny_224", "normalization"):
        timm("hiera_tiny_224", pretrained=False, layer=1, model_args=arguments)


STRIDES = {"vit_tiny_patch16_224": 16, "vit_small_patch14_reg4_dinov2": 14, "resnet18": 1, "convnext_atto": 1}


@pytest.mark.parametrize("name", STRIDES)
def test_an_input_size_must_be_a_multiple_of_the_patches_side(name):
    assert made(name).stride == STRIDES[name]


def test_an_input_size_of_merged_patches_must_be_a_multiple_of_what_all_stages_shrink_it_by():
    assert made("swin_tiny_patch4_window7_224").stride == 4 * 2 * 2 * 2


@pytest.mark.parametrize(
    "options", [{"pool": "gem"}, {"pool": "tokens4"}, {"layer": 2}, {"layer": -2}, {"layer": 2, "pool": "mean"}]
)
def test_pool_and_layer_are_part_of_the_key(options):
    from eyechart.specs import written

    def key(**more):
        return load_encoder(bind("encoders", written("timm", "test_vit", {"pretrained": False, "size": 32} | more))).key

    assert key(**options) != key()


@pytest.mark.parametrize("options", [{"pool": "gem"}, {"pool": "tokens4"}, {"layer": 2}])
def test_one_image_has_the_same_features_in_any_batch(options):
    encoder = timm("test_vit", pretrained=False, size=32, **options)
    together = encoder.forward(batch(32))
    assert np.allclose(together, np.concatenate([encoder.forward(batch(32)[i : i + 1]) for i in range(3)]), atol=1e-5)
