"""An audit in a few lines, the most severe first."""

from collections.abc import Iterator, Sequence

from eyechart.hygiene.findings import Audit, Place, Same, Score, Share

_EXAMPLES = 5
_EVERYWHERE = "--json or --write FILE"


def lines(found: Audit) -> Iterator[str]:
    """Give the lines a terminal shows: what was found, at most five examples of each kind, and where the rest is."""
    yield from _counts(found)
    conflicts = [same for same in found.same if same.conflict]
    yield from _copies("the same picture under several labels", conflicts)
    leaks = [same for same in found.same if same.leak]
    yield from _copies("the same picture in several splits, pixel for pixel", [same for same in leaks if same.exact])
    yield from _copies("near-duplicates in several splits", [same for same in leaks if not same.exact])
    yield from _suspects(found)
    inside = [same for same in found.same if not same.leak]
    yield from _copies("exact duplicates within a split", [same for same in inside if same.exact])
    near = [same for same in inside if not same.exact]
    yield from _copies("near-duplicates within a split", near, "--json")  # no fix is suggested for those of one label
    yield from _section(
        f"{len(found.unreadable)} images cannot be read and are left out",
        [f"{_name(one.image)}: {one.reason}" for one in found.unreadable],
    )
    yield from _sizes(found)
    yield from _scores(found)
    yield from (f"left out {name}: {reason}" for name, reason in found.skipped.items())
    yield from (f"hint: {hint}" for hint in found.hints)
    if found.write is not None:
        yield f'written to {found.write}: edit the column action, then use folder:PATH(fixes="{found.write}")'


def _counts(found: Audit) -> Iterator[str]:
    n = sum(split.images for split in found.splits)
    several = ", ".join(f"{split.name} {split.images}" for split in found.splits)
    yield f"{found.data}: {n} images in {len(found.splits[0].classes)} classes ({several})"
    for split in found.splits:
        sizes = [count for count in split.classes.values() if count]
        missing = f"; none of {', '.join(split.missing[:_EXAMPLES])}" if split.missing else ""
        more = f" and {len(split.missing) - _EXAMPLES} more" if len(split.missing) > _EXAMPLES else ""
        if sizes:
            yield f"  {split.name}: {min(sizes)} to {max(sizes)} images in a class{missing}{more}"


def _copies(what: str, several: Sequence[Same], where: str = _EVERYWHERE) -> Iterator[str]:
    if several:
        images = sum(len(same.images) for same in several)
        title = f"{what}: {len(several)} pictures, {images} images"
        yield from _section(title, [_same(same) for same in several], where)


def _same(same: Same) -> str:
    first = same.images[0]
    # What differs from the first is what makes it worth showing.
    others = sorted(same.images[1:], key=lambda place: (place.split, place.label) == (first.split, first.label))
    named = ", ".join(map(_name, others[:2])) + (f" and {len(others) - 2} more" if len(others) > 2 else "")
    sure = "" if same.exact else f" (agreement {same.agreement:.2f}{', mirrored' if same.mirrored else ''})"
    return f"{_name(first)} = {named}{sure}"


def _suspects(found: Audit) -> Iterator[str]:
    told = [
        f"{_name(one.image)}: {100 * one.disagreeing:.0f} % of its neighbors have another label, they speak for "
        f"{one.suggestion}"
        for one in found.suspects
    ]
    asked = ", ".join(f"{name} {100 * accuracy:.0f} %" for name, accuracy in found.encoders.items())
    yield from _section(f"labels that disagree with their neighbors: {len(told)} (who was asked agrees: {asked})", told)


def _sizes(found: Audit) -> Iterator[str]:
    width, height = found.sizes.width, found.sizes.height
    yield (
        f"sizes: width {width[0]} to {width[2]} (median {width[1]:g}), height {height[0]} to {height[2]} "
        f"(median {height[1]:g})"
    )
    odd = [f"{_name(one.image)}: {one.width} x {one.height}, {one.problem}" for one in found.sizes.odd]
    yield from _section(f"{len(odd)} images of unusual size or shape", odd)


def _scores(found: Audit) -> Iterator[str]:
    if not found.scores:
        return
    if all(score.clean is not None and score.clean.n == score.every.n for score in found.scores):
        yield "accuracy on test, of which no picture is in train or val, too"
        yield from (f"  {_what(score)}: {_share(score.every)}" for score in found.scores)
        return
    yield "accuracy on test, all of it and without the pictures that are in train or val, too"
    for score in found.scores:
        clean = "no image is left" if score.clean is None else _share(score.clean)
        yield f"  {_what(score)}: {_share(score.every)}; {clean}"


def _what(score: Score) -> str:
    return f"{score.encoder}, {score.task}" + (f" in {score.run}" if score.run else "")


def _share(share: Share) -> str:
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] of {share.n}"


def _section(title: str, told: Sequence[str], where: str = _EVERYWHERE) -> Iterator[str]:
    if told:
        yield title
        yield from (f"  {one}" for one in told[:_EXAMPLES])
        if len(told) > _EXAMPLES:
            yield f"  and {len(told) - _EXAMPLES} more: all of them with {where}"


def _name(place: Place) -> str:
    return f"{place.id} ({place.split}, {place.label})"
