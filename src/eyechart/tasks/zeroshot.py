"""Zero-shot classification: the class whose description is nearest to the image, for encoders that read texts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.case import Case
from eyechart.embedding.loading import built
from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.probes.temperature import fit_temperature
from eyechart.progress import progress
from eyechart.tasks._classification import calibration_scores, scores, soft_scores
from eyechart.tasks._prompts import alike, filled, templates_of, words_of
from eyechart.types import Embeddings, Encoder, FilePath, Images, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test"},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
_TEMPERATURE = 0.01  # where CLIP's was held when it trained (Radford et al. 2021, section 2.5)
_AT_ONCE = 256  # texts
# Folds and other options ask for the same texts again; what is remembered goes when the encoder does.
_KNOWN: WeakKeyDictionary[Encoder, dict[str, np.ndarray]] = WeakKeyDictionary()


def zeroshot(
    case: Case,
    *,
    templates: Literal["photo", "simple", "cifar", "openai"] | tuple[str, ...] = "simple",
    templates_file: FilePath | None = None,
    names_file: FilePath | None = None,
    temperature: float | None = None,
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of the class whose name, put into some texts, is nearest to the image: no training image is seen.

    It needs an encoder with a tower for texts: `open_clip:` and `hf:` have one for CLIP, SigLIP and their kin. The name
    of a class, with spaces for underscores, is put in the place of {} into each template. The texts' embeddings are
    scaled to length 1, averaged, and scaled again; the class with the largest cosine to the image's embedding is
    predicted, of equal ones the first (Radford et al. 2021, section 3.1).

    `templates`: "photo" is "a photo of a {}." alone, "simple" the 7 and "openai" the 80 of OpenAI's notebook for
    ImageNet, "cifar" OpenAI's 18 for CIFAR; or any texts of one's own, which `templates_file` takes from a file, one in
    each line. `names_file` says what classes are called whose names are codes, for every class of the data: a CSV with
    the columns class,name, or a .json file of {"class": "name"}. It may name further classes.

    Probabilities are the softmax of cosine / temperature: the temperature that the encoder was trained with where its
    network has one (`logit_scale`), else CLIP's 0.01, and that is noted. They are measured on test as they are and,
    where there is a val, after one more temperature that is fitted on val (`calibrated`); no other number depends on
    it. Accuracy is measured on val too, so that encoders can be ordered without looking at test.
    """
    encoder = _reading(case)
    words, prompts = _asked(case, templates, templates_file, names_file, temperature)
    classes = case.images("test").classes
    for line in alike(classes, words):
        case.note(line)
    column = {said: number for number, said in enumerate(dict.fromkeys(words))}
    directions = _directions(encoder, list(column), prompts, case.label)
    columns = np.array([column[said] for said in words])
    scale = _own_temperature(case, encoder) if temperature is None else temperature
    logits = {}
    for split in ("val", "test"):
        if split in case.splits:
            logits[split] = _logits(case.embed(split), directions, columns, scale)
            yield from scores(case.embed(split), logits[split].argmax(axis=1), split=split, probe="zeroshot")
    test = case.embed("test")
    yield from soft_scores(test, logits["test"], split="test", probe="zeroshot")
    yield from calibration_scores(test, logits["test"], split="test", calibrated=False, probe="zeroshot")
    if "val" in logits:
        more = np.float32(_fitted(case, logits["val"]))
        yield from calibration_scores(test, logits["test"] / more, split="test", calibrated=True, probe="zeroshot")
    else:
        case.note("there is no val, so probabilities are measured as they are, without a fitted temperature")


def views(case: Case, options: Mapping[str, Any]) -> Iterable[Images]:
    """Give nothing, for only splits are embedded; what cannot be is refused in a dry run, too."""
    _reading(case)
    _asked(case, **{name: value for name, value in options.items() if name != "version"})
    return ()


def _reading(case: Case) -> Encoder:
    """Give the encoder, if it reads texts."""
    if isinstance(case.encoder, Encoder) and case.encoder.text is not None:
        return case.encoder
    raise EyechartError(
        "zeroshot needs an encoder with a tower for texts, such as clip_b32 or open_clip:NAME/TAG; that of "
        f"{case.label} has none. Features before the projection have none either, nor have encoders made of others."
    )


def _asked(
    case: Case,
    templates: str | Sequence[str],
    templates_file: str | None,
    names_file: str | None,
    temperature: float | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the words for each class and the templates, before anything is embedded."""
    if temperature is not None and not 0 < temperature < math.inf:
        raise EyechartError(f"zeroshot: temperature must be a finite number above 0; got {temperature}.")
    classes = case.images("test").classes
    if len(classes) < 2:
        raise EyechartError(f"{case.label}: there is nothing to tell apart; got {len(classes)} class, needed are two.")
    return words_of(classes, names_file, case.label), templates_of(templates, templates_file, default="simple")


def _directions(
    encoder: Encoder, words: Sequence[str], templates: Sequence[str], label: str
) -> Float64[np.ndarray, "c d"]:
    known, key = _KNOWN.setdefault(encoder, {}), digest(words, templates)
    if key not in known:
        known[key] = _embedded(encoder, words, templates, label)
    return known[key]


def _embedded(
    encoder: Encoder, words: Sequence[str], templates: Sequence[str], label: str
) -> Float64[np.ndarray, "c d"]:
    """Give the direction of each class: the mean of its texts' directions."""
    at_once, found = max(1, _AT_ONCE // len(templates)), []
    with progress(f"{label}, texts", len(words) * len(templates), "texts") as advance:
        for start in range(0, len(words), at_once):
            lines = [line for one in words[start : start + at_once] for line in filled(templates, one)]
            x = _texts(encoder, lines, label).reshape(-1, len(templates), encoder.dim)
            found.append(_unit(x.mean(axis=1)))
            advance(len(lines))
    return np.concatenate(found)


def _texts(encoder: Encoder, lines: Sequence[str], label: str) -> Float64[np.ndarray, "n d"]:
    assert encoder.text is not None
    x = encoder.text(lines)
    if x.shape != (len(lines), encoder.dim):
        raise EyechartError(
            f"{label}: texts must have embeddings as images have, {(len(lines), encoder.dim)} for {len(lines)} texts; "
            f"got {x.shape}."
        )
    sound = np.isfinite(x).all(axis=1) & x.any(axis=1)
    if not sound.all():
        line = lines[int((~sound).argmax())]
        raise EyechartError(f"{label}: the embedding of the text {line!r} is all 0, or not finite.")
    return _unit(x)


def _unit(x: np.ndarray) -> Float64[np.ndarray, "n d"]:
    """Scale rows to length 1; rows of zeros stay, at a right angle to everything."""
    wide = x.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(length > 0, length, 1)


def _own_temperature(case: Case, encoder: Encoder) -> float:
    scale = getattr(built(encoder).module, "logit_scale", None)
    if scale is None:
        case.note(f"the encoder has no logit_scale; probabilities are those of CLIP's temperature, {_TEMPERATURE}")
        return _TEMPERATURE
    return math.exp(-float(scale))


def _logits(
    embedded: Embeddings, directions: Float64[np.ndarray, "w d"], columns: Int64[np.ndarray, " c"], temperature: float
) -> Float32[np.ndarray, "n c"]:
    """Give cosine / temperature; classes of the same words have the very same numbers."""
    found, start = np.empty((len(embedded), len(columns)), np.float32), 0
    for block in embedded.blocks():
        cosines = _unit(block) @ directions.T
        found[start : start + len(block)] = cosines[:, columns] / temperature
        start += len(block)
    return found


def _fitted(case: Case, on_val: Float32[np.ndarray, "n c"]) -> float:
    value, bound = fit_temperature(on_val, case.embed("val").y)
    if bound:
        case.note(f"the temperature of {value:.3g} is a bound: on val, {bound}")
    return value
