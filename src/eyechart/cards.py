"""Cards of encoders: what is known of published weights. Nothing is built, and no heavy library is imported."""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eyechart.entries import Kind, alias_tables, entries
from eyechart.errors import EyechartError, did_you_mean
from eyechart.registry import bind
from eyechart.signatures import names_in
from eyechart.specs import Spec, parse

NONE = "(none)"  # what an encoder without a card, or without the field, has
_FAMILIES = Path(__file__).parent / "encoders" / "families.toml"
# Options that say how weights are looked at: with any other value of these they are still the weights of the card.
_VIEWS = {"size", "crop_pct", "crop_mode", "interpolation", "mean", "std", "pool", "layer", "project", "seed"}
_VIEWING_ARGS = {"img_size", "dynamic_img_size", "dynamic_img_pad", "strict_img_size"}  # the same of timm's model_args
_NO_GROUPS = {"name", "spec", "cite", "mean", "std"}  # fields by which nobody groups
# Fields of a card that the files state as they are.
_GIVEN = (
    *("spec", "objective", "backbone", "labels", "license", "parameters", "download", "dim"),
    *("size", "crop_pct", "crop_mode", "interpolation", "mean", "std", "activation"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one set of weights, and how they are used unless a spec says otherwise."""

    name: str
    spec: str
    objective: str  # what the training asked for, in words that group encoders
    family: str
    backbone: str
    year: int | None  # in which its paper appeared first
    paper: str | None
    corpus: str | None  # the images it was trained on ...
    images: int | None  # ... and how many these are
    labels: str  # whose labels it was trained with; "none" of self-supervised and text-supervised weights
    license: str  # of the weights
    parameters: float  # of the backbone, in millions
    download: int  # MB
    dim: int
    size: int
    crop_pct: float
    crop_mode: str
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    activation: str
    trained_on: tuple[str, ...]  # data sets of eyechart whose training images it was trained on
    labeled: tuple[str, ...]  # those of them whose labels it was trained with
    resembles: tuple[str, ...]  # data sets by whose training images its own were picked from the web
    cite: tuple[str, ...]  # keys of papers

    @property
    def bibtex(self) -> str:
        """What to cite, as BibTeX."""
        return "\n\n".join(papers()[key].bibtex for key in self.cite)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper, with what its BibTeX entry needs."""

    key: str
    title: str
    authors: str
    year: int
    arxiv: str
    venue: str = ""

    @property
    def appeared(self) -> int:
        """The year in which it appeared first, which the beginning of its number at arXiv says."""
        return 2000 + int(self.arxiv[:2])

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry."""
        fields = {"title": f"{{{self.title}}}", "author": self.authors, "booktitle": self.venue, "year": self.year}
        fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        return f"@{'inproceedings' if self.venue else 'misc'}{{{self.key},\n{lines}}}"


@functools.cache
def _shared() -> dict[str, dict[str, Any]]:
    with _FAMILIES.open("rb") as file:
        return tomllib.load(file)


@functools.cache
def papers() -> dict[str, Paper]:
    """Give the papers by their key."""
    return {key: Paper(key=key, **fields) for key, fields in _shared()["papers"].items()}


@functools.cache
def cards() -> dict[str, Card]:
    """Give the card of every friendly name, in the order of the file."""
    return {name: _card(name, own) for name, own in alias_tables().items()}


def _card(name: str, own: dict[str, Any]) -> Card:
    family = _shared()["families"][own["family"]]
    facts = {"crop_mode": "center", "download": round(4 * own["parameters"]), "data": None, "papers": []} | family | own
    cited = [papers()[key] for key in facts["papers"]]
    corpora = _shared()["corpora"]
    images, labels = corpora.get(facts["data"], {}), corpora.get(facts["labels"], {})
    given = {field: _tupled(facts[field]) for field in _GIVEN}
    return Card(
        **given,
        name=name,
        family=family["name"],
        year=cited[0].appeared if cited else None,
        paper=cited[0].title if cited else None,
        corpus=facts["data"],
        images=images.get("images"),
        trained_on=tuple(dict.fromkeys([*images.get("holds", ()), *labels.get("holds", ())])),
        labeled=tuple(labels.get("holds", ())),
        resembles=tuple(images.get("resembles", ())),
        cite=tuple(facts["papers"]),
    )


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def cards_of(encoder: str) -> tuple[Card, ...]:
    """Give the card of an encoder's spec in full, by the library's own name too; of one made of others, theirs.

    Size, crop, pooling and layer may differ; other weights, an activation that is not the card's, or random weights
    have none.
    """
    spec = _parsed(encoder)
    if spec is None:
        return ()
    nested = _nested("encoders", spec, "EncoderSpec")
    if nested:
        return tuple(dict.fromkeys(card for part in nested for card in cards_of(part)))
    named = _named().get((spec.name, spec.argument), ())
    return tuple(card for card in named if _same_weights(spec, card))[:1]


@functools.cache
def _named() -> dict[tuple[str, str | None], tuple[Card, ...]]:
    """Give the cards by plugin and argument: that of their spec, and the bare name of the network where it will do."""
    found: dict[tuple[str, str | None], tuple[Card, ...]] = {}
    for name, table in alias_tables().items():
        spec = parse(table["spec"])
        bare = [re.split("[./]", spec.argument or "")[0]] if table.get("bare") else []
        for argument in (spec.argument, *bare):
            found[spec.name, argument] = (*found.get((spec.name, argument), ()), cards()[name])
    return found


def _same_weights(spec: Spec, card: Card) -> bool:
    stated = {name: value for name, value in bind("encoders", card.spec).options.items() if name not in _VIEWS}
    return all(_alike(name, spec.options.get(name, value), value, card) for name, value in stated.items())


def _alike(name: str, given: Any, stated: Any, card: Card) -> bool:
    if name == "model_args":
        given, stated = (
            {key: value for key, value in (arguments or {}).items() if key not in _VIEWING_ARGS}
            for arguments in (given, stated)
        )
    return given == stated or (name, stated, given) == ("activation", "auto", card.activation)


def _parsed(text: str) -> Spec | None:
    try:
        return parse(text)
    except EyechartError:  # of a Python object it is the object's key, which may be any text
        return None


def _nested(kind: Kind, spec: Spec, annotation: str) -> tuple[str, ...]:
    """Give the specs among a spec's options that are annotated so."""
    entry = entries(kind).get(spec.name)
    options = entry.function.options if entry else ()
    values = (spec.options.get(option.name) for option in options if annotation in names_in(option.annotation))
    return tuple(one for value in values if value for one in (value if isinstance(value, tuple) else (value,)))


def fields() -> tuple[str, ...]:
    """Give the fields of a card by which encoders can be grouped."""
    return tuple(field.name for field in dataclasses.fields(Card) if field.name not in _NO_GROUPS)


def check_field(name: str) -> None:
    """Raise EyechartError where cards have no such field."""
    if name not in fields():
        hint = did_you_mean(name, fields(), n=1)
        raise EyechartError(f"by: cards of encoders have no field {name!r}.{hint} They have {', '.join(fields())}.")


def group_of(encoder: str, field: str) -> str:
    """Give what a field of an encoder's card says, as text: `(none)` without card, and all of several parts' cards."""
    texts = dict.fromkeys(_text(getattr(card, field)) for card in cards_of(encoder))
    return " + ".join(texts) or NONE


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or NONE
    if isinstance(value, float):
        return f"{value:g}"
    return NONE if value is None else str(value)


def overlaps(tested: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Say which encoders were trained on images of the data set they are tested on: a line for each data set.

    What is tested is an encoder's label, and the full specs of encoder, data set and task (which may read more data).
    """
    found: dict[tuple[str, str, bool], dict[str, None]] = {}
    for label, encoder, data, task in dict.fromkeys(tested):
        names = dict.fromkeys((*_data_names("datasets", data), *_data_names("tasks", task)))
        for card in cards_of(encoder):
            for name in names:
                source, held = _overlap(card, name)
                if source:
                    labels = f", with{'' if source in card.labeled else 'out'} labels" if held else ""
                    found.setdefault((name, source, held), {})[f"{label} ({card.corpus}{labels})"] = None
    return [_said(*where, tuple(who)) for where, who in found.items()]


def _data_names(kind: Kind, text: str) -> tuple[str, ...]:
    """Give the names of the data sets in a spec: its own, and those it is made of or reads."""
    spec = _parsed(text)
    if spec is None:
        return ()
    below = (name for part in _nested(kind, spec, "DataSpec") for name in _data_names("datasets", part))
    return (*((spec.name,) if kind == "datasets" else ()), *below)


def _overlap(card: Card, name: str) -> tuple[str, bool]:
    """Give the data set by which an encoder has met this one, and whether its very images or such as look like them."""
    sources = _sources(name)
    for known, held in ((card.trained_on, True), (card.resembles, False)):
        for source in sources:
            if source in known:
                return source, held
    return "", False


def _sources(name: str) -> tuple[str, ...]:
    """Give a data set and those whose images it is made of, which its module states as PART_OF."""
    found = [name]
    for one in found:  # grows while it is read
        entry = entries("datasets").get(one)
        stated = entry.constants.get("PART_OF", ()) if entry else ()
        found += [source for source in ((stated,) if isinstance(stated, str) else stated) if source not in found]
    return tuple(found)


def _said(name: str, source: str, held: bool, who: tuple[str, ...]) -> str:
    what = source if source == name else f"{source}, a source of {name},"
    if held:
        return f"{name}: images of {what} are in the training data of {', '.join(who)}"
    likeness = f"images picked from the web for their likeness to those of {what}"
    return f"{name}: {likeness} are in the training data of {', '.join(who)}"
