"""Networks of transformers: found, built from their configuration, and given weights, every tensor accounted for."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from eyechart.encoders._hub import hub_if_it_answers, hub_reason, hub_remedy
from eyechart.encoders._torch import seeded_init
from eyechart.encoders._weights import first_line, read_state, tensors_from
from eyechart.errors import EyechartError, Unavailable

# Whether a network is built with the pooling layer of transformers. That of ViT serves its classifier, and most
# published files have none; that of BEiT is the norm after the mean.
_POOLING_LAYER = {"vit": False, "deit": False, "beit": True, "data2vec-vision": True}
_LAYOUT = "config.json, preprocessor_config.json and model.safetensors, as save_pretrained writes them"
_LISTED = 5  # tensors in an error
_CONVERTS = "DISABLE_SAFETENSORS_CONVERSION"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a model is: a folder, or a repository of the hub at a commit."""

    name: str  # as the user gave it
    path: str
    commit: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What transformers is told beside the path; code in a repository is never run."""
        return {"trust_remote_code": False} | ({"revision": self.commit} if self.commit else {})

    def __str__(self) -> str:
        return f"{self.name} at commit {self.commit}" if self.commit else self.path


def library() -> Any:
    """Give the package transformers.

    Raises:
        Unavailable: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise Unavailable("hf: needs transformers: pip install 'eyechart[hf]'.") from error
    return transformers


def place(name: str, revision: str) -> Place:
    """Find a folder, or the commit of a repository that a revision stands for now."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise Unavailable(f"{folder} has no config.json; hf: takes a folder that holds {_LAYOUT}.")
        return Place(name, str(folder))
    if name.startswith((".", "/", "~")):
        raise Unavailable(f"there is no folder {folder}; hf: takes ORG/REPO, or a folder that holds {_LAYOUT}.")
    library()
    from huggingface_hub import hf_hub_download

    with had(f"the configuration of hf:{name} at {revision}", Place(name, name)):
        return Place(name, name, Path(hf_hub_download(name, "config.json", revision=revision)).parent.name)


@contextlib.contextmanager
def had(what: str, where: Place | None) -> Iterator[None]:
    """Within the block, say of what cannot be had where it was looked for, and of what does not fit what is wrong."""
    local = where is None or Path(where.path).is_dir()
    try:
        with _offline() if local else hub_if_it_answers(), quietly():
            yield
    except EyechartError:
        raise
    except (OSError, ImportError) as error:  # those of the hub's client are among them
        there = f"in {where}" if local else f"in the hub cache and at {where}"
        raise Unavailable(
            f"{what} cannot be had ({hub_reason(error)}). Looked {there}; {hub_remedy(error)}, or name a "
            f'folder that holds {_LAYOUT}, or a file with weights="FILE" and config=.'
        ) from error
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise EyechartError(f"{where} can only be used with code of its own, which eyechart never runs.") from error
        if type(error).__name__ == "UnpicklingError":
            raise EyechartError(
                f"{what} are in a file of more than tensors, which eyechart does not load because it could run code."
            ) from error
        raise EyechartError(f"{what} cannot be used: {' '.join(str(error).split())[:300]}") from error


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within the block, transformers prints no tables, and asks no one to convert files on the hub."""
    logging = library().logging
    verbosity, bars, converts = logging.get_verbosity(), logging.is_progress_bar_enabled(), os.environ.get(_CONVERTS)
    os.environ[_CONVERTS] = "1"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if converts is None:
            del os.environ[_CONVERTS]
        else:
            os.environ[_CONVERTS] = converts


def built(name: str, config: Any, seed: int) -> Any:
    """Give a network with random weights."""
    try:
        with quietly(), seeded_init(seed):
            network = library().AutoModel.from_config(config, dtype=torch.float32, **_pooling(config))
    except Exception as error:  # every network has its own way to say what does not fit together
        raise EyechartError(f"hf:{name}: no network can be built from this config: {first_line(error)}.") from error
    return _imaging(network, name)


def loaded(name: str, config: Any, where: Place | None, weights: Path | None) -> tuple[Any, str]:
    """Give a network with the weights that are at a place, or in a file, and what was loaded.

    Raises:
        EyechartError: a tensor is missing, left over or of another shape.
    """
    if weights is None:
        assert where is not None
        source, more = where.path, where.options
    else:
        source, more = None, {"state_dict": read_state(weights)}
    with had(f"the weights of hf:{name}", where), seeded_init(0):
        network, report = _with_report(source, config, more)
        if _norm_is_beside(config, report):
            config.use_mean_pooling = False
            network, report = _with_report(source, config, more)
    given = more.get("state_dict")
    extra = _extra(network, report, given)
    left = _without_pooler(network, report["missing_keys"])
    shapes = [f"{key} {tuple(got)} for {tuple(wanted)}" for key, got, wanted in report["mismatched_keys"]]
    found = (("missing", left), ("unexpected", extra), ("other shapes:", shapes))
    if problems := [_listed(problem, sorted(names)) for problem, names in found if names]:
        raise EyechartError(f"{weights or where} does not fit {type(network).__name__}: {'; '.join(problems)}.")
    count = len(network.state_dict())
    what = f"{count} tensors from {where}" if weights is None else tensors_from(count, weights)
    return _imaging(network, name), what


def _with_report(source: str | None, config: Any, more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Load tensors, and say which of them did not find their place."""
    how = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    kind = library().MODEL_MAPPING[type(config)]
    return kind.from_pretrained(source, config=config, **how, **more, **_pooling(config))


def _norm_is_beside(config: Any, report: dict[str, Any]) -> bool:
    """Say whether BEiT's last norm stands beside the network, as in files of its pretraining.

    Their configuration, made for classifiers, has a norm after the mean in its place. Without that the network has its
    own, and the tensors find it.
    """
    kept = getattr(config, "use_mean_pooling", False) and "layernorm.weight" in report["unexpected_keys"]
    return kept and "pooler.layernorm.weight" in report["missing_keys"]


def _pooling(config: Any) -> dict[str, bool]:
    layer = _POOLING_LAYER.get(config.model_type)
    return {} if layer is None else {"add_pooling_layer": layer}


def _extra(network: Any, report: dict[str, Any], given: dict[str, Any] | None) -> list[str]:
    """Give the tensors of a file that nothing stands for; heads, which stand beside the network, are none of them."""
    prefix = f"{network.base_model_prefix}."
    if given is None or not any(key.startswith(prefix) for key in given):
        return [] if given is None else [key for key in report["unexpected_keys"] if not key.endswith("position_ids")]
    return [key for key in report["unexpected_keys"] if key.startswith(prefix)]


def _without_pooler(network: Any, missing: set[str]) -> list[str]:
    """Take a pooling layer away that a file has no tensors for, and give the other tensors that it lacks."""
    others = [key for key in missing if not key.startswith("pooler.")]
    if len(others) < len(missing) and not others:
        network.pooler = None
    return others


def _listed(problem: str, names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{problem} {', '.join(names[:_LISTED])}{more}"


def _imaging(network: Any, name: str) -> Any:
    both = hasattr(network, "get_image_features") and hasattr(network, "get_text_features")
    if network.main_input_name != "pixel_values" and not both:
        raise EyechartError(
            f"hf:{name} is a {network.config.model_type}, which does not make embeddings of images alone; name a "
            "vision model, or one of images and texts such as CLIP."
        )
    return network


def processor(where: Place | None, config: Any, name: str) -> Any:
    """Give the image processor at a place; of a stated configuration the one of its family, with its defaults."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING as PROCESSORS

    instead = "state all of size=, crop_pct=, interpolation=, mean= and std= in its place"
    if where is not None:
        try:
            with had(f"the image processor of hf:{name}", where):
                return library().AutoImageProcessor.from_pretrained(where.path, **where.options)
        except Unavailable as error:
            raise Unavailable(f"{str(error).rstrip('.')}, or {instead}.") from error
    if type(config) not in PROCESSORS:
        raise EyechartError(f"hf:{name}: a {config.model_type} of its own config has no image processor; {instead}.")
    found: Any = PROCESSORS[type(config)]
    return (found.get("torchvision") or found["pil"])() if isinstance(found, dict) else found[-1]()


def tokenizer(where: Place, name: str) -> Any:
    """Give the tokenizer at a place. Where its files are missing, transformers makes one that knows no words."""
    with had(f"the tokenizer of hf:{name}", where):
        found = library().AutoTokenizer.from_pretrained(where.path, **where.options)
    if set(found.get_vocab()) <= set(found.all_special_tokens):
        raise Unavailable(f"the tokenizer of hf:{name} cannot be had: there is no vocabulary in {where}.")
    return found
