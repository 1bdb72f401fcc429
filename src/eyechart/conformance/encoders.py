"""What an encoder promises: one finite row for each picture, the same whatever stands beside it."""

import tempfile
from functools import partial

import numpy as np

from eyechart import settings
from eyechart.conformance.findings import Broken, Finding, attempt
from eyechart.conformance.isolation import refuse_touched, seeded
from eyechart.conformance.samples import odd_pictures, pictures
from eyechart.conformance.variations import varied
from eyechart.embedding.derived import embed_any
from eyechart.embedding.devices import device
from eyechart.embedding.loading import load_encoder
from eyechart.errors import EyechartError
from eyechart.images.views import detached, rows
from eyechart.registry import Bound, bind
from eyechart.types import Derived, Encoder, Images

_BATCHES = (1, 3, 7)
_SPLITS = ("train", "val", "test")


def check_encoder(bound: Bound, spec: str) -> list[Finding]:
    """Try an encoder on some pictures. Where it cannot embed them at all, that is the only finding."""
    images = pictures()
    first = attempt("embeds", partial(_embeds, bound, images))
    if first.skipped or not first.passed:
        return [first]
    return [
        first,
        attempt("same rows at any batch size", partial(_any_batch_size, bound, images)),
        attempt("same rows in any order", partial(_any_order, bound, images)),
        attempt("repeats itself", partial(_repeats, bound, images)),
        attempt("global random state", partial(_leaves_random_state, bound, images)),
        attempt("any picture", partial(_any_picture, bound)),
        attempt("keys", partial(_keys, bound, spec)),
    ]


def _built(bound: Bound) -> Encoder | Derived:
    """Build the encoder afresh: nothing it noted of itself earlier is used."""
    with tempfile.TemporaryDirectory() as folder, settings.using(cache_dir=folder):
        return load_encoder(bound)


def _embedded(encoder: Encoder | Derived, images: Images, batch_size: int | None = None) -> np.ndarray:
    """Embed afresh: nothing that was stored earlier is read. What is to be learned is always of the same pictures."""
    with tempfile.TemporaryDirectory() as folder, settings.using(cache_dir=folder, batch_size=batch_size):
        embedded = embed_any(encoder, images, dict.fromkeys(_SPLITS, pictures()))
        for name, reason in embedded.left_out.items():
            raise Broken(f"the picture {name} was refused ({reason}); an encoder gives a row for every picture.")
        return np.array(embedded.x)


def _embeds(bound: Bound, images: Images) -> str:
    x = _embedded(_built(bound), images)
    if x.ndim != 2 or len(x) != len(images) or x.dtype != np.float32 or not np.isfinite(x).all():
        raise Broken(f"{len(images)} pictures gave {x.dtype} of shape {x.shape}; it must be finite float32 [n, dim].")
    if (x == x[0]).all():
        raise Broken(f"all {len(x)} pictures, none like another, gave the same row; the embedding must see them.")
    return f"{len(x)} finite rows of {x.shape[1]} numbers"


def _tolerance() -> float:
    """How far two rows may be apart as a share of their length: the last bits on a CPU, more on other devices.

    Both are well within the store's promise, a cosine above 0.99999 (a share of 0.0045).
    """
    return 2e-5 if device() == "cpu" else 2e-3


def _refuse_different(x: np.ndarray, y: np.ndarray, mend: str) -> str:
    apart = np.linalg.norm(x - y, axis=1)
    length = np.maximum(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    share = np.divide(apart, length, out=np.zeros_like(apart), where=length > 0)
    worst = int(share.argmax())
    if share[worst] > _tolerance():
        raise Broken(f"row {worst} came out different by {share[worst]:.2g} of its length; {mend}")
    return f"rows agree to {share[worst]:.1g} of their length"


def _any_batch_size(bound: Bound, images: Images) -> str:
    encoder = _built(bound)
    whole, seen = _embedded(encoder, images, len(images)), ""
    for size in _BATCHES:
        seen = _refuse_different(
            whole,
            _embedded(encoder, images, size),
            f"in batches of {size} instead of {len(images)}. A row may depend on its own picture only: no statistics "
            "of the batch, networks in evaluation mode.",
        )
    return f"{seen}, in batches of {', '.join(map(str, _BATCHES))} and {len(images)}"


def _any_order(bound: Bound, images: Images) -> str:
    encoder = _built(bound)
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = detached(rows(images, order))
    mend = "with the pictures in another order. A row may depend on its own picture only, not on its place."
    return _refuse_different(_embedded(encoder, images)[order], _embedded(encoder, shuffled), mend)


def _repeats(bound: Bound, images: Images) -> str:
    outputs, keys = [], []
    for seed in (1, 2):
        with seeded(seed):
            encoder = _built(bound)
            outputs.append(_embedded(encoder, images))
            keys.append(encoder.key)
    if keys[0] != keys[1]:
        raise Broken(
            "built twice, it has two keys: its weights differ from one time to the next. Seed their initialization "
            "with an option, in a generator of its own."
        )
    mend = "when it was built again under other global seeds. Seed what is random with an option or the pixels."
    return _refuse_different(outputs[0], outputs[1], mend)


def _leaves_random_state(bound: Bound, images: Images) -> str:
    with seeded(3) as touched:
        _embedded(_built(bound), images)
        return refuse_touched(touched(), "use np.random.default_rng(seed), or a torch.Generator, of its own")


def _any_picture(bound: Bound) -> str:
    encoder = _built(bound)
    if isinstance(encoder, Encoder) and encoder.lookup is not None:
        return "it looks rows up by id, so there are no pictures to see"
    images = odd_pictures()
    x = _embedded(encoder, images)
    return f"{len(x)} odd pictures (gray, one pixel, strips, black) gave finite rows"


def _keys(bound: Bound, spec: str) -> str:
    """Equal keys promise equal embeddings, so a changed option must change the key."""
    known = {_built(bound).key: bound.text}
    changed, refused, fixed = [], [], []
    for name, texts in varied(bound, spec):
        keys = [(text, key) for text in texts if (key := _key(text)) is not None]
        if not keys:
            (refused if texts else fixed).append(name)
            continue
        text, key = keys[0]
        if key in known:
            raise Broken(f"{text} has the key of {known[key]}; {name} must be an option of the spec, part of its key.")
        known[key] = text
        changed.append(name)
    parts = (("changes with", changed), ("refused other values of", refused), ("could not vary", fixed))
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names) or "there are no options"


def _key(text: str) -> str | None:
    """Give the key of a spec, None where the encoder refuses the value in a line for the user."""
    try:
        return _built(bind("encoders", text)).key
    except EyechartError:
        return None
    except Exception as error:
        raise Broken(
            f"{text} raised {type(error).__name__}: {error}; a value that cannot be should raise EyechartError, saying "
            "what is allowed."
        ) from error
