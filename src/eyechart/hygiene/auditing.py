"""Look a data set over before anything is measured on it: `eyechart audit`."""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eyechart import adopt, settings
from eyechart.datasets._fixes import read as read_fixes
from eyechart.embedding.copies import Copies, find, groups
from eyechart.embedding.derived import embed_any
from eyechart.embedding.devices import device
from eyechart.embedding.loading import load_encoder
from eyechart.errors import DiskFull, EyechartError, Unavailable
from eyechart.files import check_writable
from eyechart.hygiene import counts, fixes, leaks, suspicion
from eyechart.hygiene.findings import Audit, Left, Place, Same, Score, Suspect
from eyechart.images.duplicates import Link
from eyechart.images.folds import POOLED, parts
from eyechart.probes.knn import Work
from eyechart.registry import Bound
from eyechart.types import Dataset, Derived, Embeddings, Encoder

log = logging.getLogger("eyechart")
ENCODERS = ("hog", "hsv_histogram", "pixels")  # always asked: they need no download and see different things
_EVIDENCE = float(np.log(2))  # neighbors must speak twice as much for the other class
_SHOWN, _AT_LEAST = 0.05, 60  # of the images, so many suspects are named at the most
_KNOWING = 0.6  # share of right labels among neighbors below which suspicion is mostly noise
_UNBALANCED = 5  # times as many images: from there on accuracy is mostly about the largest class


def audit(
    data: Any,
    *,
    encoder: Any = (),
    run: Any = (),
    write: str | Path | None = None,
    **flags: Any,
) -> Audit:
    """Find what is wrong with a data set, and give it with what the test score is without leaked images.

    Copies are found on the pixels: exact ones (equal once decoded, whatever the file around them), and near-duplicates
    (encoded again, scaled, cropped by up to 15 % of a side, brighter or darker, mirrored). A label is suspect when the
    neighbors of its image, its own copies left out, speak for another class.

    Args:
        data: a spec, a path, or a dict of Images.
        encoder: specs or Encoder objects whose neighbors are asked beside those of hog, hsv_histogram and pixels.
        run: folders of runs on this data set, whose accuracies are computed again without leaked images.
        write: a CSV of suggestions to edit; `folder:PATH(fixes=FILE)` applies it. What a person decided in a file that
            is there already is kept.
        flags: settings: cache_dir, data_dir, device, precision, batch_size, workers, plugins.

    Raises:
        EyechartError: a spec is wrong, a split holds no image that can be read, a run is of other images, or what is
            to be written cannot be.
    """
    with settings.using(**flags):
        named = adopt.bound("datasets", data)
        # What can be refused is refused before anything is computed.
        encoders, place = _encoders(encoder), None if write is None else _writable(Path(write).expanduser())
        whole = _unedited(named)
        runs = _stored(named, whole, [Path(one).expanduser() for one in _listed(run)])
        found = _audited(named, whole, encoders, runs)
        if place is not None:
            found = dataclasses.replace(found, write=place)
            fixes.write(place, found)
        return found


def _unedited(named: Bound) -> Dataset:
    data = {split: part for split, part in named.call().items() if part.edit is None}
    if apart := [split for split in data if _is_apart(split, data)]:
        more = f" and {len(apart) - 5} more" if len(apart) > 5 else ""
        log.info(
            "%s: not looked at, as without labels or the same images changed: %s%s",
            named.label,
            ", ".join(apart[:5]),
            more,
        )
        data = {split: part for split, part in data.items() if split not in apart}
    if empty := [split for split, part in data.items() if not len(part)]:
        raise EyechartError(f"{named.label} has no image in {', '.join(empty)}; leave such a split out.")
    if not data:
        raise EyechartError(f"{named.label} has no split; give one or more, such as {{'train': images}}.")
    return data


def _is_apart(split: str, data: Dataset) -> bool:
    """Say whether a split has no labels, or shows the images of the one it is below again (`test/fog/3`)."""
    whole = data.get(split.partition("/")[0])
    again = whole is not None and whole is not data[split] and whole.ids == data[split].ids
    return again or bool(len(data[split]) and (data[split].labels < 0).all())


def _writable(path: Path) -> Path:
    """Give a place for fixes back if it can be written, and holds no other file."""
    if path.exists():
        read_fixes(path)
    try:
        check_writable(path.parent)
    except DiskFull:
        raise
    except EyechartError as error:
        reason = getattr(error.__cause__, "strerror", error)
        raise EyechartError(f"cannot write {path}: {reason}. Name another file with --write.") from error
    return path


def _stored(named: Bound, data: Dataset, runs: Sequence[Path]) -> list[leaks.Stored]:
    if runs and "test" not in data:
        raise EyechartError(f"{named.label} has no split called test, so no run can be scored again without leaks.")
    return leaks.stored(runs, data["test"]) if runs else []


def _dealt_once(data: Dataset) -> dict[str, Dataset]:
    """Give the folds of the first repeat by name; further repeats deal the same images out again."""
    folds, held = {}, 0
    for number, fold in parts(data).items():
        if held < len(data[POOLED]):
            folds[f"fold{number}"] = fold
            held += len(fold["test"])
    return folds


def _in_order(data: Dataset) -> Dataset:
    """Put train, val and test first."""
    usual = [split for split in ("train", "val", "test") if split in data]
    return {split: data[split] for split in [*usual, *(split for split in data if split not in usual)]}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _encoders(named: Any) -> list[Bound]:
    bound = [adopt.bound("encoders", one) for one in (*ENCODERS, *_listed(named))]
    return list({one.text: one for one in bound}.values())


def _audited(named: Bound, whole: Dataset, encoders: Sequence[Bound], runs: Sequence[leaks.Stored]) -> Audit:
    """Look at every image once: of folds, each as the split of what it tests, so a picture in two of them is a leak."""
    folds = _dealt_once(whole)
    data = {name: fold["test"] for name, fold in folds.items()} or _in_order(whole)
    copies = find(list(data.values()), what=named.label)
    places = [
        Place(id=name, split=split, label=part.classes[label])
        for split, part in data.items()
        for name, label in zip(part.ids, part.labels, strict=True)
    ]
    same = _same(places, copies)
    asked = _ask(encoders, data, copies, leaks.trials(data, folds, same), named.label)
    unreadable = tuple(Left(image=places[row], reason=reason) for row, reason in copies.unreadable.items())
    return Audit(
        data=named.label,
        splits=counts.counted(data, [left.image for left in unreadable]),
        same=same,
        suspects=_suspects(places, data, asked.doubts),
        unreadable=unreadable,
        sizes=counts.measured(places, copies.sizes),
        scores=(*asked.scores, *leaks.of_runs(runs, leaks.leaked(same, parts(whole).values()))),
        encoders=asked.accuracy,
        skipped=asked.skipped,
        hints=tuple(_hints(named, data, same, asked)),
    )


def _same(places: Sequence[Place], copies: Copies) -> tuple[Same, ...]:
    """Give exact copies and near-duplicates: labels that contradict each other first, then leaks, then the rest."""
    found, links = [], defaultdict[int, list[Link]](list)
    for link in copies.links:
        links[int(copies.picture[link.first])].append(link)
    for alike in groups(copies.picture):
        rows = alike[copies.sizes[alike, 0] > 0]  # what cannot be read is no copy of anything
        contents = copies.content[rows]
        for content in np.unique(contents):
            equal = rows[contents == content]
            if len(equal) > 1:
                found.append(Same(exact=True, images=tuple(places[row] for row in equal)))
        if len(np.unique(contents)) > 1:
            several = links[int(copies.picture[rows[0]])]
            found.append(
                Same(
                    exact=False,
                    images=tuple(places[row] for row in rows),
                    agreement=min(link.agreement for link in several),
                    mirrored=any(link.mirrored for link in several),
                )
            )
    return tuple(sorted(found, key=lambda same: (not same.conflict, not same.leak, not same.exact, -len(same.images))))


class _Asked(NamedTuple):
    """What the encoders said."""

    doubts: suspicion.Doubts
    scores: list[Score]
    accuracy: dict[str, float]
    skipped: dict[str, str]
    knowing: bool  # whether any of them knows more of the labels than which is the most frequent


def _ask(encoders: Sequence[Bound], data: Dataset, copies: Copies, tried: leaks.Trials, what: str) -> _Asked:
    """Ask one encoder after the other; only one's embeddings are held at a time."""
    work = Work(device=name if (name := device()).startswith("cuda") else "cpu")  # as for the probes of a run
    labels, classes, asked = tried.labels, len(next(iter(data.values())).classes), 1
    shares, heard = np.zeros((len(labels), classes), np.float32), np.zeros(len(labels), np.float32)
    scores, accuracy, skipped = [], {}, {}
    for bound in encoders:
        try:
            network = load_encoder(bound)
            embedded = _embedded(network, data, f"{bound.label} on {what}")
        except Unavailable as error:
            log.warning("%s is left out: %s", bound.label, error)
            skipped[bound.label] = str(error)
            continue
        x, rows = _stacked(embedded, data)
        view = suspicion.look(x, labels[rows], copies.picture[rows], classes, distance=network.distance, work=work)
        shares[rows] += np.float32(view.weight) * view.shares
        heard[rows] += np.float32(view.weight)
        accuracy[bound.label], asked = view.accuracy, max(asked, view.k)
        if tried.rows:
            scores.append(leaks.quick(bound.label, x, rows, tried, distance=network.distance, work=work))
    shares /= np.where(heard > 0, heard, 1)[:, None]
    doubts = suspicion.doubts(shares, labels, heard > 0, asked)
    return _Asked(doubts, scores, accuracy, skipped, bool((heard > 0).any()))


def _embedded(network: Encoder | Derived, data: Dataset, what: str) -> dict[str, Embeddings]:
    learned: dict[str, Any] = {}
    return {
        split: embed_any(network, part, data, what=f"{what} {split}", learned=learned) for split, part in data.items()
    }


def _stacked(embedded: Mapping[str, Embeddings], data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Put the splits below each other, and say which of all images each row is."""
    rows, start = [], 0
    for split, part in data.items():
        rows.append(start + np.flatnonzero([name not in embedded[split].left_out for name in part.ids]))
        start += len(part)
    return np.concatenate([z.x for z in embedded.values()]), np.concatenate(rows)


def _suspects(places: Sequence[Place], data: Dataset, doubts: suspicion.Doubts) -> tuple[Suspect, ...]:
    """Name the images whose neighbors speak clearly for another class: the most suspect, a twentieth or 60."""
    classes = next(iter(data.values())).classes
    clear = np.flatnonzero(doubts.evidence > _EVIDENCE)  # false where there is none
    order = clear[np.argsort(-doubts.evidence[clear], kind="stable")]
    return tuple(
        Suspect(
            image=places[row],
            suggestion=classes[doubts.suggestion[row]],
            disagreeing=float(doubts.disagreeing[row]),
            evidence=float(doubts.evidence[row]),
        )
        for row in order[: max(_AT_LEAST, int(_SHOWN * len(places)))]
    )


def _hints(named: Bound, data: Dataset, same: Sequence[Same], asked: _Asked) -> Iterator[str]:
    """Say what a person could do beside editing the fixes."""
    bases = [id(part.base) for part in data.values() if part.rows is not None]
    if len(set(bases)) < len(bases) and any(one.leak for one in same) and named.options.get("groups") == "none":
        yield 'the splits are drawn, so groups="auto" can keep every picture on one side'
    if asked.accuracy and not asked.knowing:
        yield "no encoder's neighbors agree with the labels more often than chance, so no label is called suspect"
    elif asked.accuracy and max(asked.accuracy.values()) < _KNOWING:
        yield (
            "the neighbors of who was asked seldom have the right label, so look at the first suspects only, or ask a "
            "network that knows more with --encoder"
        )
    counted = np.bincount(np.concatenate([part.labels for part in data.values()]))
    smallest = counted[counted > 0].min()
    if counted.max() >= _UNBALANCED * smallest:
        yield f"the largest class is {counted.max() / smallest:.0f} times the smallest: look at balanced_accuracy"
