"""Configurations of transformers: read from a place or stated in a spec, every key accounted for."""

from collections.abc import Iterator
from typing import Any

from eyechart.encoders._hf_network import Place, had, library, quietly
from eyechart.errors import EyechartError, did_you_mean

# What a configuration says that is no part of the architecture.
_NO_ARCHITECTURE = {"_name_or_path", "architectures", "dtype", "id2label", "label2id", "transformers_version"}


def configured(name: str, where: Place | None, stated: dict[str, Any] | None) -> Any:
    """Give the configuration that is at a place, or is stated, as transformers knows it."""
    if where is not None:
        with had(f"the configuration of hf:{name}", where):
            config = library().AutoConfig.from_pretrained(where.path, **where.options)
    else:
        config = _stated(name, dict(stated or {}))
    if config.model_type == "timm_wrapper":
        raise EyechartError(f"hf:{name} is a network of timm; use timm:{name.rpartition('/')[2]}.")
    if type(config) not in library().MODEL_MAPPING:
        raise EyechartError(f"hf:{name}: transformers has no model without a head for {config.model_type}.")
    if hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0  # of MAE: an embedding is of the whole image
    return config


def _stated(name: str, options: dict[str, Any]) -> Any:
    mapping = library().CONFIG_MAPPING
    kind = options.pop("model_type", None)
    if kind not in mapping:
        hint = did_you_mean(str(kind), mapping) or ' Such as config={"model_type": "dinov2"}.'
        raise EyechartError(f"hf:{name}: config must state a model_type of transformers; got {kind!r}.{hint}")
    try:
        with quietly():
            config = mapping[kind](**{key: _as_json(value) for key, value in options.items()})
            strange = next(_unknown(config, options), None)
    except Exception as error:  # configurations check themselves, each in its own way
        what = " ".join(str(error).split())[:300]
        raise EyechartError(f"hf:{name}: {kind} does not take this config: {what}") from error
    if strange:
        _, key, known = strange
        hint = did_you_mean(key, known, n=1)
        raise EyechartError(f"hf:{name}: the config of {config.model_type} has no {key!r}.{hint}")
    return config


def _unknown(config: Any, stated: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, list[str]]]:
    """Give the stated keys that mean nothing to a configuration: where each stands, the key, and those that do.

    A configuration of transformers keeps whatever it is given, so it is compared with one that was given nothing.
    """
    usual = type(config)()
    for key, value in stated.items():
        part = getattr(config, key, None)
        if not hasattr(usual, key):
            yield stated, key, list(usual.to_dict())
        elif isinstance(value, dict) and isinstance(part, library().PreTrainedConfig):
            yield from _unknown(part, value)


def as_option(config: Any) -> dict[str, Any]:
    """Give the architecture that a configuration states, as the option `config` of hf takes it."""
    stated = config.to_diff_dict() | {"model_type": config.model_type}
    with quietly():
        for where, key, _ in list(_unknown(config, stated)):  # files on the hub have keys of other versions
            del where[key]
    return {name: value for name, value in stated.items() if name not in _NO_ARCHITECTURE}


def _as_json(value: Any) -> Any:
    """Turn the tuples of a spec into the lists of a config.json."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value
