"""ImageNet's classes: WordNet's numbers, such as n01440764, and what they are called in words."""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eyechart.errors import EyechartError


def class_names(wnids: Sequence[str], names: str) -> dict[str, str]:
    """Give what classes are called: their numbers themselves ("wnid"), or in words ("words")."""
    return dict(zip(wnids, words(wnids) if names == "words" else wnids, strict=True))


def words(wnids: Sequence[str]) -> tuple[str, ...]:
    """Give what classes are called in English: the first of WordNet's synonyms.

    Where two of ImageNet's thousand share that, all synonyms are given, and the number behind those that share them
    all: "crane (n02012849)", the bird. So a class is called the same in every set. The names are those that timm
    installs (imagenet_synset_to_lemma.txt).

    Raises:
        EyechartError: timm has no such file, or a number is not in it.
    """
    folder = _folder()
    try:
        known = dict(line.split("\t", 1) for line in _lines(folder / "imagenet_synset_to_lemma.txt"))
        everyone = {*_lines(folder / "imagenet_synsets.txt"), *wnids}
        synonyms = {wnid: known[wnid] for wnid in everyone}
    except (OSError, ValueError, KeyError) as error:
        raise EyechartError(
            f'the installed timm has no names for these classes ({error} in {folder}); names="wnid" needs none.'
        ) from error
    firsts = Counter(all_of.partition(", ")[0] for all_of in synonyms.values())
    wholes = Counter(synonyms.values())
    return tuple(_called(wnid, synonyms[wnid], firsts, wholes) for wnid in wnids)


def _called(wnid: str, synonyms: str, firsts: Counter[str], wholes: Counter[str]) -> str:
    first = synonyms.partition(", ")[0]
    if firsts[first] == 1:
        return first
    return synonyms if wholes[synonyms] == 1 else f"{synonyms} ({wnid})"


def _folder() -> Path:
    found = importlib.util.find_spec("timm")  # not imported: that would bring torch
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0] if places else "timm") / "data" / "_info"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
