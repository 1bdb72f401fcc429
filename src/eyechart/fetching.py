"""All that a study needs, brought to this machine before it has no network: `eyechart download`."""

import dataclasses
import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from eyechart import settings
from eyechart.cards import cards_of
from eyechart.catalog import license_of, parts_of
from eyechart.embedding.loading import built, load_encoder
from eyechart.errors import EyechartError, Unavailable, not_here
from eyechart.plan import bound_each, chosen
from eyechart.registry import Bound, bind
from eyechart.study import Study, read_study
from eyechart.types import Derived

log = logging.getLogger("eyechart")
_SETTLED = 2.1  # seconds after which a file that was just written counts as one that stays as it is
State = Literal["ok", "already there", "to download", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one data set, or of the weights of one encoder."""

    kind: Literal["data", "encoder"]
    name: str
    state: State  # "ok" is fetched now; "to download" is what a dry run says of what is not here
    reason: str = ""  # why it failed, or what is missing
    license: str = ""  # as far as it is known
    megabytes: int | None = None  # to download, now or before; None where that is not known

    @property
    def line(self) -> str:
        """The outcome as one line."""
        size = "" if not self.megabytes else f"{self.megabytes:,} MB"
        known = ", ".join(one for one in (size, self.license) if one)
        said = f": {' '.join(self.reason.split())}" if self.reason else ""
        return f"{self.state:<13} {self.kind:<7} {self.name}{f' ({known})' if known else ''}{said}"


def download(
    study: str | None = None, *, encoder: Any = None, data: Any = None, dry_run: bool = False, **flags: Any
) -> list[Fetched]:
    """Fetch all that a study needs, so that it runs without a network; give what became of each part.

    Data sets are downloaded, their checksums compared, unpacked, and their images' hashes remembered; the weights of
    encoders are downloaded and loaded once, so that a later run knows their keys. What a data set or an encoder is made
    of, and the further data sets of tasks, come with it. What fails does not stop the others.

    Args:
        study: a name or a TOML file; by default only what is named, and `quickstart` where nothing is.
        encoder: specs that replace the study's.
        data: specs or paths that replace the study's.
        dry_run: download and unpack nothing, and say of what is not here that it would be.
        flags: settings: cache_dir, data_dir, device, precision, plugins.

    Raises:
        EyechartError: the study or a spec is wrong.
    """
    return list(each(study, encoder=encoder, data=data, dry_run=dry_run, **flags))


def each(
    study: str | None = None, *, encoder: Any = None, data: Any = None, dry_run: bool = False, **flags: Any
) -> Iterator[Fetched]:
    """Do what `download` does, and give each part as soon as it is there."""
    with settings.using(**flags):
        wanted = _wanted(study, encoder, data)
    for bound in wanted:
        with settings.using(**flags):
            fetched = _fetched(bound, dry_run=dry_run)
        yield fetched  # outside of the block: the caller's settings are the caller's


def exit_code(fetched: Sequence[Fetched]) -> int:
    """Give 0 where nothing failed, 2 where everything did, else 1."""
    failed = sum(one.state == "failed" for one in fetched)
    return 0 if not failed else 2 if failed == len(fetched) else 1


def _wanted(study: str | None, encoder: Any, data: Any) -> list[Bound]:
    """Give the data sets and then the encoders, each after what it is made of."""
    named = Study(name="", about="", encoders=(), data=(), tasks=())
    if study is not None or (encoder is None and data is None):
        named = read_study(study or "quickstart")
    sets = bound_each("datasets", chosen("data", data, named.data))
    encoders = bound_each("encoders", chosen("encoder", encoder, named.encoders))
    for task in bound_each("tasks", named.tasks):
        sets += [bind("datasets", spec) for specs in task.nested("datasets").values() for spec in specs]
        encoders += [bind("encoders", spec) for specs in task.nested("encoders").values() for spec in specs]
    return list({(one.kind, one.text): one for top in (*sets, *encoders) for one in _with_parts(top)}.values())


def _with_parts(bound: Bound) -> Iterator[Bound]:
    for part in parts_of(bound):
        yield from _with_parts(part)
    yield bound


def _fetched(bound: Bound, *, dry_run: bool) -> Fetched:
    """Look whether something is here, and fetch it if it is not."""
    with settings.looking():
        here = _attempt(bound)
    if here.state != "to download" or dry_run:
        return here
    log.info("%s is not here yet", bound.label)
    now = _attempt(bound)
    if now.state == "already there" and bound.kind == "datasets":
        time.sleep(_SETTLED)
        now = _attempt(bound)  # reads again only what was too new to be remembered
    return dataclasses.replace(now, state="ok" if now.state == "already there" else now.state, megabytes=here.megabytes)


def _attempt(bound: Bound) -> Fetched:
    """Open a data set or load an encoder. One that fails must not stop the others."""
    try:
        note = _load(bound) if bound.kind == "encoders" else _open(bound)
    except EyechartError as error:
        missing = not_here(error)
        if missing is None:
            return _described(bound, "failed", str(error))
        is_data = bound.kind == "datasets"
        return _described(bound, "to download", str(missing) if is_data else "", missing.megabytes)
    except Exception as error:
        log.error("%s failed:\n%s", bound.label, "".join(traceback.format_exception(error)).rstrip())
        return _described(bound, "failed", f"{type(error).__name__}: {error}")
    return _described(bound, "already there", note)


def _open(bound: Bound) -> str:
    bound.call()
    return ""


def _load(bound: Bound) -> str:
    """Load an encoder with its network, and give a note where texts cannot be had with it."""
    encoder = load_encoder(bound)
    if isinstance(encoder, Derived):
        return "; ".join(filter(None, [_load(bind("encoders", part)) for part in encoder.parts]))
    network = built(encoder)
    if network.text is None:
        return ""
    try:
        network.text(["a photograph"])  # some tokenizers come from the hub as well
    except Unavailable as error:
        if not_here(error):
            raise
        return f"images can be embedded, texts cannot: {error}"
    return ""


def _described(bound: Bound, state: State, reason: str, megabytes: int | None = None) -> Fetched:
    """Add what is known of license and size. What is made of others has the size of none: they are listed as well."""
    if bound.kind == "datasets":
        size = None if parts_of(bound) else megabytes
        return Fetched(
            kind="data", name=bound.label, state=state, reason=reason, license=license_of(bound), megabytes=size
        )
    cards = cards_of(bound.text)
    size = None if parts_of(bound) else sum(card.download for card in cards) or None
    licenses = ", ".join(dict.fromkeys(card.license for card in cards if card.download))
    return Fetched(kind="encoder", name=bound.label, state=state, reason=reason, license=licenses, megabytes=size)
