import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from eyechart import settings
from eyechart.embedding.loading import built, load_encoder
from eyechart.encoders.checkpoint import checkpoint
from eyechart.errors import EyechartError, Unavailable
from eyechart.files import sha256_of
from eyechart.images.views import rows
from eyechart.registry import bind
from eyechart.specs import written
from eyechart.training import checkpoints
from eyechart.training.checkpoints import read_checkpoint, seen_images, write_checkpoint
from eyechart.types import Encoder, Transform
from samples import picture, refuses, toy

SPEC = "timm:test_vit(pretrained=False, size=32)"


def batch(size=32):
    return np.stack([picture(i, size, size) for i in range(3)])


def trained(spec=SPEC):
    """An encoder whose network has changed since it was loaded."""
    encoder = bind("encoders", spec).call()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in encoder.module.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return encoder


@pytest.fixture
def written_to(tmp_path):
    """A function that writes a checkpoint and gives its folder."""

    def write(spec=SPEC, encoder=None, name="run", **options):
        write_checkpoint(tmp_path / name, spec, encoder or trained(spec), **options)
        return tmp_path / name

    return write


def key_of(path):
    return load_encoder(bind("encoders", written("checkpoint", str(path), {}))).key


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        'timm:test_vit(pretrained=False, size=32, pool="cls+mean", layer=2)',
        "timm:test_resnet(pretrained=False, size=32, crop_pct=0.5, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))",
        "random_vit",
        "torchvision:resnet18(pretrained=False, size=32)",
    ],
)
def test_what_was_written_is_read_back_bit_for_bit(written_to, spec):
    encoder = trained(spec)
    folder = written_to(spec, encoder)
    read = checkpoint(str(folder))
    assert np.array_equal(read.forward(batch()), encoder.forward(batch()))
    assert (read.transform, read.dim, read.stride) == (encoder.transform, encoder.dim, encoder.stride)
    assert not np.array_equal(bind("encoders", spec).call().forward(batch()), read.forward(batch()))


def test_it_says_what_it_is(written_to):
    folder = written_to()
    loaded = checkpoint(str(folder)).loaded
    assert f"tensors from {folder} (sha256 {sha256_of(folder / 'encoder.safetensors')[:12]})" in loaded
    assert "a checkpoint of timm:test_vit(" in loaded


def test_the_weights_of_the_key_are_those_of_the_file(written_to):
    folder = written_to()
    before = checkpoint(str(folder)).weights
    assert before != bind("encoders", SPEC).call().weights
    write_checkpoint(folder, SPEC, bind("encoders", SPEC).call())
    assert checkpoint(str(folder)).weights == bind("encoders", SPEC).call().weights


def test_what_came_with_published_weights_is_stated_and_needs_them_no_more(written_to, tmp_path):
    network = trained().module
    save_file(network.state_dict(), tmp_path / "old.safetensors")
    spec = written("timm", "test_vit", {"weights": str(tmp_path / "old.safetensors"), "size": 32})
    folder = written_to(spec)
    (tmp_path / "old.safetensors").unlink()
    options = bind("encoders", read_checkpoint(folder).encoder).options
    assert (options["weights"], options["pretrained"]) == (None, False)
    assert (options["size"], options["crop_pct"], options["interpolation"]) == (32, 0.95, "bicubic")
    assert (options["mean"], options["std"]) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert checkpoint(str(folder)).dim == 64


VIT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
VIT |= {"image_size": 32, "patch_size": 8}
STATED = {"size": 32, "crop_pct": 1.0, "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.4,) * 3}


@pytest.mark.parametrize("kind", ["vit", "beit", "dinov3_vit", "clip", "convnext"])
def test_a_model_of_transformers_is_written_with_its_configuration(written_to, tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    config: dict = {"hidden_sizes": (8, 8, 8, 8), "depths": (1, 1, 1, 1)} if kind == "convnext" else VIT
    if kind == "clip":
        text = {key: VIT[key] for key in VIT if "size" in key or "num" in key}
        config = {"vision_config": VIT, "text_config": {k: text[k] for k in text if "i" in k and "image" not in k}}
    network = transformers.CONFIG_MAPPING[kind](**json.loads(json.dumps(config)))
    network = transformers.AutoModel.from_config(network)
    network.save_pretrained(tmp_path / "model")
    spec = written("hf", str(tmp_path / "model"), STATED)
    encoder = trained(spec)
    folder = written_to(spec, encoder)
    shutil.rmtree(tmp_path / "model")
    read = checkpoint(str(folder))
    assert np.array_equal(read.forward(batch()), encoder.forward(batch()))
    assert read.text is None


def test_what_means_nothing_in_a_configuration_is_not_written(written_to, tmp_path):
    transformers = pytest.importorskip("transformers")
    text = {key: value for key, value in VIT.items() if key not in {"image_size", "patch_size"}}
    config = {"vision_config": VIT | {"top_k": 50}, "text_config": text, "stray": 1}
    network = transformers.AutoModel.from_config(transformers.CLIPConfig(**config))
    network.save_pretrained(tmp_path / "model")
    assert "stray" in (tmp_path / "model" / "config.json").read_text()
    folder = written_to(written("hf", str(tmp_path / "model"), STATED))
    config = bind("encoders", read_checkpoint(folder).encoder).options["config"]
    assert "stray" not in config
    assert "top_k" not in config["vision_config"]
    assert isinstance(checkpoint(str(folder)), Encoder)


def test_training_can_go_on_from_a_checkpoint(written_to):
    first = written_to()
    spec = written("checkpoint", str(first), {})
    second = written_to(spec, trained(spec), name="second")
    stated = read_checkpoint(second)
    shutil.rmtree(first)
    assert stated.encoder.startswith("timm:test_vit(")
    assert checkpoint(str(second)).dim == 64


def test_another_size_is_stated_where_the_plugin_has_an_option_for_it(written_to):
    encoder = trained("timm:test_resnet(pretrained=False, size=32)")
    sight = dataclasses.replace(encoder.transform, size=48, crop_pct=1.0, mean=(0.2, 0.2, 0.2))
    read = checkpoint(str(written_to("timm:test_resnet(pretrained=False, size=32)", encoder, transform=sight)))
    assert read.transform == sight
    assert read.forward(batch(48)).shape == (3, encoder.dim)


PLUGIN = """
import torch
from eyechart import Encoder, Transform
from eyechart.encoders._torch import from_module


def tiny(*, width: int = 4) -> Encoder:
    \"\"\"A convolution.\"\"\"
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, width, 4, stride=4)
    transform = Transform(size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return from_module(network, transform, features=lambda m, x: m(x).mean(dim=(2, 3)), loaded="fresh")
"""


def test_a_users_own_network_is_written_too(written_to, write_plugin):
    with settings.using(plugins=(write_plugin(PLUGIN),)):
        encoder = trained("tiny(width=6)")
        sight = dataclasses.replace(encoder.transform, size=24, crop_mode="squash")
        read = checkpoint(str(written_to("tiny(width=6)", encoder, transform=sight)))
        assert read.transform == sight
        assert np.array_equal(read.forward(batch(24)), encoder.forward(batch(24)))


def test_a_transform_that_the_network_cannot_compute_with_is_refused(written_to, write_plugin):
    with settings.using(plugins=(write_plugin(PLUGIN),)):
        encoder = trained("tiny")
        with refuses("tiny has no option for another mean"):
            written_to("tiny", encoder, transform=dataclasses.replace(encoder.transform, mean=(0.1, 0.1, 0.1)))
        folder = written_to("tiny", encoder)
        changed(folder, transform=dataclasses.asdict(encoder.transform) | {"std": (0.1, 0.1, 0.1)})
        with refuses(str(folder), "std (0.1, 0.1, 0.1)", "write them as its options"):
            checkpoint(str(folder))
        changed(folder, transform=dataclasses.asdict(encoder.transform) | {"size": 2})
        with refuses(f"{folder} cannot take images of 2 x 2"):
            checkpoint(str(folder))


def test_a_plugin_that_has_changed_since_is_refused(written_to, write_plugin):
    with settings.using(plugins=(write_plugin(PLUGIN),)):
        folder = written_to("tiny")
    with refuses(str(folder), "no encoder is called 'tiny'"):
        checkpoint(str(folder))
    with (
        settings.using(plugins=(write_plugin(PLUGIN.replace("stride=4", "stride=2"), "other.py"),)),
        refuses("has changed since", "other.py"),
    ):
        checkpoint(str(folder))


def test_a_plugin_that_has_changed_since_is_refused_although_the_key_is_remembered(written_to, write_plugin):
    with settings.using(plugins=(write_plugin(PLUGIN),)):
        folder = written_to("tiny")
        key_of(folder)
    with (
        settings.using(plugins=(write_plugin(PLUGIN.replace("stride=4", "stride=2"), "other.py"),)),
        refuses("has changed since", "other.py"),
    ):
        key_of(folder)


def changed(folder, **values):
    """Edit encoder.json."""
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def with_tensors(folder, change):
    state = load_file(folder / "encoder.safetensors")
    change(state)
    save_file(state, folder / "encoder.safetensors")
    changed(folder, sha256=sha256_of(folder / "encoder.safetensors"))


def test_a_missing_tensor_is_named(written_to):
    folder = written_to()
    with_tensors(folder, lambda state: state.pop("norm.weight"))
    with refuses("encoder.safetensors does not fit", "missing norm.weight"):
        checkpoint(str(folder))


def test_a_tensor_too_many_is_named(written_to):
    folder = written_to()
    with_tensors(folder, lambda state: state.update({"extra": torch.zeros(1)}))
    with refuses("unexpected extra"):
        checkpoint(str(folder))


def test_a_tensor_of_another_shape_is_named_and_so_are_other_versions(written_to):
    folder = written_to()
    with_tensors(folder, lambda state: state.update({"norm.weight": torch.zeros(65)}))
    changed(folder, versions={"timm": "0.9", "torch": torch.__version__.partition("+")[0]})
    with refuses("norm.weight (65,) for (64,)", "It was written with timm 0.9 (here "):
        checkpoint(str(folder))


def test_a_file_of_another_checkpoint_is_refused(written_to):
    first, second = written_to(name="first"), written_to("timm:test_vit(pretrained=False, size=32, seed=2)", name="two")
    shutil.copy(second / "encoder.safetensors", first / "encoder.safetensors")
    with refuses("is not the file that encoder.json was written with"):
        checkpoint(str(first))


@pytest.mark.parametrize("name", ["encoder.json", "encoder.safetensors"])
def test_a_folder_that_lacks_a_file_is_unavailable(written_to, name):
    folder = written_to()
    (folder / name).unlink()
    with pytest.raises(Unavailable, match=rf"there is no {name} in .*write_checkpoint"):
        checkpoint(str(folder))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema": 1'])
def test_a_damaged_statement_is_refused_in_one_line(written_to, content):
    folder = written_to()
    (folder / "encoder.json").write_bytes(content)
    with refuses("encoder.json is not what a checkpoint states"):
        checkpoint(str(folder))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("encoder", 5, "a text; got 5"),
        ("encoder", None, "a text; got None"),
        ("encoder", ["timm:test_vit"], "a text; got ['timm:test_vit']"),
        ("source", None, "a text"),
        ("made", [], "an object"),
        ("trained_on", 5, "a list; got 5"),
        ("trained_on", ["digits"], "a list of objects; got ['digits']"),
        ("versions", [], "an object"),
    ],
)
def test_a_statement_of_another_kind_is_refused_in_one_line(written_to, name, value, kind):
    folder = written_to()
    changed(folder, **{name: value})
    with refuses(f"encoder.json: {name} must be {kind}"):
        checkpoint(str(folder))


@pytest.mark.parametrize("spec", ["checkpoint:{}", 'multiscale("checkpoint:{}")'])
def test_a_checkpoint_of_itself_is_refused_in_one_line(written_to, spec):
    folder = written_to()
    changed(folder, encoder=spec.format(folder))
    with refuses(f"{folder} is a checkpoint of ", "which has no network of its own"):
        checkpoint(str(folder))


@pytest.mark.parametrize("sight", [{"size": 32, "shape": "round"}, {"size": "32"}, [1, 2]])
def test_a_transform_that_is_none_is_refused(written_to, sight):
    folder = written_to()
    changed(folder, transform=sight)
    with refuses("states no transform that eyechart knows"):
        checkpoint(str(folder))


def test_a_checkpoint_of_a_later_eyechart_is_refused(written_to):
    folder = written_to()
    changed(folder, schema=2)
    with refuses("written by another eyechart", "schema 2", "reads 1"):
        checkpoint(str(folder))


def test_what_is_no_network_has_no_checkpoint(tmp_path, written_to):
    with refuses("pixels has no network"):
        write_checkpoint(tmp_path / "run", "pixels", bind("encoders", "pixels").call())
    assert not (tmp_path / "run").exists()
    folder = written_to()
    changed(folder, encoder="pixels")
    with refuses("is a checkpoint of pixels(", "which has no network"):
        checkpoint(str(folder))


def test_one_that_was_not_written_to_the_end_is_none(written_to, monkeypatch):
    folder = written_to(seen=toy().hashes)

    def fails(path, value):
        raise EyechartError("the disk is full")

    monkeypatch.setattr(checkpoints, "write_json", fails)
    with refuses("the disk is full"):
        written_to("timm:test_vit(pretrained=False, size=32, seed=2)")
    with pytest.raises(Unavailable, match=r"there is no encoder\.json"):
        checkpoint(str(folder))


def test_nothing_temporary_is_left(written_to):
    folder = written_to(seen=toy().hashes)
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.json", "encoder.safetensors", "seen.npy"]


def test_its_history_is_kept(written_to):
    history = {"method": "dino", "epochs": 3, "loss": [2.5, 1.25]}
    sets = ({"data": "folder:photos", "split": "train", "pixels_key": "abc"},)
    stated = read_checkpoint(written_to(made=history, trained_on=sets))
    assert stated.made == history
    assert stated.trained_on == sets
    assert stated.versions["torch"] == torch.__version__.partition("+")[0] or "torch" in stated.versions


def test_the_key_is_of_the_content_and_not_of_where_it_lies(written_to, tmp_path):
    folder = written_to()
    before = key_of(folder)
    assert key_of(shutil.copytree(folder, tmp_path / "copy")) == before
    encoder = trained()
    with torch.no_grad():
        encoder.module.norm.bias[0] += 1e-3
    assert key_of(written_to(encoder=encoder, name="other")) != before


def test_a_known_key_needs_no_network_until_it_is_used(written_to, monkeypatch):
    folder = written_to()
    before = key_of(folder)
    calls = []
    real = checkpoints.read_checkpoint
    monkeypatch.setattr("eyechart.encoders.checkpoint.read_checkpoint", lambda path: calls.append(path) or real(path))
    encoder = load_encoder(bind("encoders", written("checkpoint", str(folder), {})))
    assert (encoder.key, encoder.dim, calls) == (before, 64, [])
    assert built(encoder).module is not None
    assert len(calls) == 1


def test_its_tensors_are_in_the_network_that_openvino_computes(written_to):
    pytest.importorskip("openvino")
    encoder = trained()
    folder = written_to(encoder=encoder)
    with settings.using(backend="openvino", device="cpu"):
        assert np.allclose(checkpoint(str(folder)).forward(batch()), encoder.forward(batch()), atol=1e-3)


def test_images_it_was_trained_on_are_counted_by_their_content(written_to):
    images = toy(12)
    folder = written_to(seen=rows(images, np.array([7, 3, 3, 5])).hashes)
    assert np.load(folder / "seen.npy").shape == (3, 32)
    assert seen_images(folder, images) == 3
    assert seen_images(folder, rows(images, np.array([3, 3, 0]))) == 2
    assert seen_images(folder, toy(12, seed=1)) == 0


def test_what_was_seen_is_sorted_and_hashes_that_end_in_zeros_stay_apart(written_to):
    hashes = np.zeros((4, 32), np.uint8)
    hashes[:, 0] = (9, 9, 1, 1)
    hashes[1, 1] = 255
    hashes[3, 31] = 1
    folder = written_to(seen=hashes)
    assert [row.tobytes() for row in np.load(folder / "seen.npy")] == sorted(row.tobytes() for row in hashes)
    images = dataclasses.replace(toy(3), hashes=np.stack([hashes[0], hashes[3], np.zeros(32, np.uint8)]))
    assert seen_images(folder, images) == 2


def test_where_nothing_is_stated_of_what_was_seen_it_is_not_known(written_to):
    folder = written_to(seen=toy().hashes)
    write_checkpoint(folder, SPEC, trained())
    assert seen_images(folder, toy()) is None


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", np.arange(4).tobytes()])
def test_a_damaged_list_of_what_was_seen_is_refused(written_to, content):
    folder = written_to(seen=toy().hashes)
    (folder / "seen.npy").write_bytes(content)
    with refuses("seen.npy is damaged"):
        seen_images(folder, toy())


def test_an_encoder_with_a_preprocessing_of_its_own_keeps_it(written_to, write_plugin):
    text = PLUGIN.replace("    return from_module(", "    made = from_module(") + (
        "    import dataclasses\n"
        "    return dataclasses.replace(made, transform=None, preprocess=lambda image: image[:16, :16])\n"
    )
    with settings.using(plugins=(write_plugin(text),)):
        encoder = trained("tiny")
        read = checkpoint(str(written_to("tiny", encoder)))
        assert read.transform is None
        assert np.array_equal(read.forward(batch(16)), encoder.forward(batch(16)))


def test_a_hash_is_that_of_the_file(written_to):
    folder = written_to()
    stated = json.loads((folder / "encoder.json").read_text())
    assert stated["sha256"] == hashlib.sha256((folder / "encoder.safetensors").read_bytes()).hexdigest()
    assert isinstance(checkpoint(str(folder)), Encoder)
    assert isinstance(read_checkpoint(Path(folder)).transform, Transform)
