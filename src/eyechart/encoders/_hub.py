"""The servers that weights come from, asked now and then whether they answer."""

import contextlib
import functools
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eyechart import settings
from eyechart.encoders._weights import first_line
from eyechart.errors import NotHere

log = logging.getLogger("eyechart")
_SECONDS = 5
_ASK_AGAIN = 60
_REFUSED = {401, 403}  # what a server answers to someone who may not have something
_AWAY = {"LocalEntryNotFoundError", "OfflineModeIsEnabled"}  # what the hub's client raises where it reached no hub
_LOGIN = "log in with `hf auth login` or a token in HF_TOKEN"
_PLACE = re.compile(r"https?://[^/]+/(?:api/)?(?:models/)?((?:datasets/)?[\w.-]+/[\w.-]+)")


@contextlib.contextmanager
def hub_if_it_answers() -> Iterator[None]:
    """Within the block, the hub's client looks only at what is cached where the hub does not answer.

    Left to itself the client tries every file for half a minute before it gives up. It is as it was after the block,
    so that a notebook whose network comes back is not left offline.

    Raises:
        NotHere: something is not cached, while nothing may be fetched.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not settings.may_fetch() or not answers(constants.ENDPOINT)
    try:
        yield
    except OSError as error:  # what the client raises for whatever it cannot get is one, too
        if settings.may_fetch():
            raise
        raise NotHere("it is not in the hub cache.") from error
    finally:
        constants.HF_HUB_OFFLINE = before


def commit_in(path: Path) -> str:
    """Give which commit of its repository a file in the hub's cache is of, as words; nothing of another file."""
    folders = path.parts
    at = folders.index("snapshots") + 1 if "snapshots" in folders[:-2] else 0
    return f" at commit {folders[at]}" if at else ""


def commit_of(repository: str, names: Sequence[str]) -> str:
    """Give which commit of a repository the hub's cache has one of some files of, as words."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, name) for name in names)
    return next((commit_in(Path(path)) for path in found if isinstance(path, str)), "")


def hub_reason(error: Exception) -> str:
    """Say in a few words why the hub did not give something: for a license, or what its client says."""
    refused = _refusal(error)
    if refused is None:
        away = any(type(one).__name__ in _AWAY for one in _chain(error))
        return "the hub does not answer, and this is not in its cache" if away else first_line(error)
    if refused.kind == "GatedRepoError":
        return f"the hub gives {refused.repository} only to those who accepted its license and are logged in"
    if refused.kind == "RepositoryNotFoundError":
        return f"the hub has no {refused.repository}, or does not show it to you"
    return f"the hub refuses {refused.repository}: {refused.status}"


def hub_remedy(error: Exception) -> str:
    """Say what helps against that: to accept a license and log in, or a network."""
    refused = _refusal(error)
    if refused is None:
        return "connect to the internet once"
    if refused.kind == "RepositoryNotFoundError":
        return f"check the name, or {_LOGIN}"
    asked = "" if refused.kind == "GatedRepoError" else ", if it asks for that,"
    return f"accept the license at https://huggingface.co/{refused.repository}{asked} and {_LOGIN}"


class _Refusal(NamedTuple):
    """The hub's answer to someone who may not have something."""

    kind: str  # the class of its client's error
    status: int
    repository: str


def _refusal(error: BaseException | None) -> _Refusal | None:
    """Find such an answer in an error, or in what led to it."""
    for one in _chain(error):
        kind, response = type(one).__name__, getattr(one, "response", None)
        status = getattr(response, "status_code", 0)
        if status in _REFUSED or kind == "RepositoryNotFoundError":
            place = _PLACE.match(str(getattr(response, "url", "")))
            return _Refusal(kind, status, place[1] if place else "this repository")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def answers(address: str) -> bool:
    """Say whether the server of an address answers, as it was found within the last minute."""
    return _answers(address, int(time.monotonic() // _ASK_AGAIN))


@functools.lru_cache(maxsize=8)
def _answers(endpoint: str, minute: int) -> bool:
    """Ask a server; `minute` is there for the cache, so that many encoders in a row ask once."""
    try:
        request = urllib.request.Request(endpoint, method="HEAD")
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError:  # it answered, if only to refuse this page
        return True
    except OSError:
        log.info("%s does not answer within %d s: only weights that are cached can be used", endpoint, _SECONDS)
        return False
    return True
