"""Any vision model of transformers, and both towers of CLIP and SigLIP, with its own image processor."""

from pathlib import Path
from typing import Any, Literal

from eyechart.encoders import _hf_config, _hf_features, _hf_images, _hf_network
from eyechart.encoders._torch import from_module
from eyechart.encoders._weights import taking
from eyechart.errors import EyechartError
from eyechart.types import Encoder, FilePath, Transform

SAMPLES = {
    "hf": 'hf:tiny(pretrained=False, config={"model_type": "vit", "hidden_size": 32, "num_hidden_layers": 1, '
    '"num_attention_heads": 2, "intermediate_size": 32, "image_size": 32, "patch_size": 8})'
}


def hf(
    name: FilePath | str,
    *,
    pool: Literal["default", "cls", "mean", "cls+mean"] = "default",
    weights: FilePath | None = None,
    pretrained: bool = True,
    revision: str = "main",
    config: dict | None = None,
    size: int | None = None,
    crop_pct: float | None = None,
    interpolation: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    seed: int = 0,
) -> Encoder:
    """A vision model of transformers: ORG/REPO on the hub at a revision, or a folder that save_pretrained wrote.

    The default embedding is what a family calls the feature of an image: of CLIP and SigLIP the projection into the
    space of texts (SigLIP's after its attention pooling); of BEiT and data2vec the mean of the patch tokens, through
    the norm behind it where they are fine-tuned, each through the last norm where they are not; of ViT, DeiT and MAE
    the class token through the last norm (the pooling layer that transformers adds to ViT and DeiT is left out); of
    others the model's own pooled output (of DINOv2 and DINOv3 the class token, of ConvNeXT the normalized mean), or
    else the class token, or the mean where there is none. `cls` and `mean` are of the last tokens through the last
    norm, class and register tokens left out of the mean, and not in a space of texts. MAE sees all patches, in order.

    `weights` loads a local safetensors or torch file with transformers' names (never through pickle), heads left out;
    `pretrained=False` without it leaves random weights, drawn with `seed`. With `config` nothing is read from NAME: it
    states the architecture as a config.json does, {"model_type": "data2vec-vision"}. Code in a repository is never run.

    Images are prepared as the image processor says, compared on one picture when it is loaded; it may cut one pixel
    further where an odd border remains (torchvision, with which most models were trained, cuts as eyechart does).
    SigLIP 2 for images of any shape sees squares. Another `size` resamples position embeddings where the model does.
    """
    if size is not None and size < 1:
        raise EyechartError(f"hf:{name}: size must be at least 1; got {size}.")
    if config is not None and pretrained and weights is None:
        raise EyechartError(f"hf:{name}: config builds a network anew, so it needs pretrained=False or weights=.")
    _hf_network.library()
    where = None if config is not None else _hf_network.place(name, revision)
    described = _hf_config.configured(name, where, config)
    given = {"size": size, "crop_pct": crop_pct, "interpolation": interpolation, "mean": mean, "std": std}
    transform = _transform(name, where, described, given)
    if pretrained or weights is not None:
        source = None if weights is None else Path(weights).expanduser()
        network, loaded = _hf_network.loaded(name, described, where, source)
    else:
        network, loaded = _hf_network.built(name, described, seed), f"random weights (seed {seed})"
    features = _hf_features.of_images(network, name, pool, transform.size)
    texts = None
    if where is not None and pool == "default" and _hf_features.two_towers(network):
        texts = _hf_features.of_texts(network, name, lambda: _hf_network.tokenizer(where, name))
    stride = _hf_features.stride(network)
    with taking(f"hf:{name}", transform.size):
        return from_module(network, transform, features=features, loaded=loaded, texts=texts, stride=stride)


def _transform(name: str, where: _hf_network.Place | None, config: Any, given: dict[str, Any]) -> Transform:
    if all(value is not None for value in given.values()):
        return _hf_images.with_options(Transform(size=given["size"]), given)
    if where is None and given["size"] is None:  # a stated configuration states the size
        side = getattr(getattr(config, "vision_config", config), "image_size", None)
        given = given | {"size": side[0] if isinstance(side, list) else side}
    return _hf_images.transform_of(_hf_network.processor(where, config, name), name, given)
