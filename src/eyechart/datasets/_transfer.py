"""One file over HTTP: it goes on where an earlier try stopped, and appears when it is whole and the right one."""

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from eyechart.files import PARTIAL
from eyechart.progress import log, progress

_TIMEOUT = 30  # seconds without a byte
_PAUSE = 1  # seconds before the first retry, twice that before the second, ...
_REDIRECTS = 10
_CHUNK = 1 << 16
_MEGABYTE = 1_000_000
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # answers that may be others a second later


class Failed(Exception):
    """A download that did not come, and why, in a few words."""


class _Passing(Exception):
    """A fault that a further try may not meet."""


class _Begun(NamedTuple):
    """What is there of a file so far, and what the server said of the whole."""

    content: Path
    note: Path


def fetch(url: str, path: Path, checksum: str, *, megabytes: int, retries: int) -> None:
    """Download a file to `path`. What came before a failure, or before a kill, is kept beside it and not sent again.

    A fault that may pass is met with so many retries in a row that bring nothing new, one, two, ... seconds later.

    Raises:
        Failed: it cannot be had, or what came is another file.
        OSError: it cannot be written.
    """
    import requests

    begun = _begun(path)
    algorithm, _, expected = checksum.partition(":")
    with progress(f"downloading {path.name}", megabytes, "MB") as advance, requests.Session() as session:
        session.max_redirects = _REDIRECTS
        ask = partial(_receive, session, url, begun, _teller(advance))
        patched = _complete(ask, begun, retries)
        found = hash_of(begun.content, algorithm)
        if found != expected and patched:  # the server may have changed the file and not said so
            log.info("%s does not fit together; downloading it again from the start", path.name)
            _discard(begun)
            _complete(ask, begun, retries)
            found = hash_of(begun.content, algorithm)
    if found != expected:
        _discard(begun)
        raise Failed(f"what came has another {algorithm} than the official file")
    begun.content.replace(path)
    _discard(begun)


def forget(path: Path) -> None:
    """Remove what an earlier try left of a file that is there by now."""
    with contextlib.suppress(OSError):  # in a folder that only others may write to; there it does no harm
        _discard(_begun(path))


def kept(path: Path) -> int:
    """Give the bytes that an earlier try left of a file."""
    return _size(_begun(path).content)


def hash_of(path: Path, algorithm: str) -> str:
    """Give a file's checksum as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _begun(path: Path) -> _Begun:
    return _Begun(path.with_name(f"{PARTIAL}{path.name}"), path.with_name(f"{PARTIAL}{path.name}.json"))


def _discard(begun: _Begun) -> None:
    for path in begun:
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _teller(advance: Callable[..., None]) -> Callable[..., None]:
    """Turn the number of bytes there are by now into megabytes more or, after a start from zero, less."""
    said = 0

    def tell(held: int, *, fresh: bool = True) -> None:
        nonlocal said
        if done := held // _MEGABYTE - said:
            said += done
            advance(done, fresh=fresh)

    return tell


def _complete(ask: Callable[[], bool], begun: _Begun, retries: int) -> bool:
    """Ask until all of the file is there. Says whether it is put together from several answers."""
    failures, most = 0, _size(begun.content)
    patched = most > 0
    while True:
        try:
            return ask() and patched
        except _Passing as fault:
            held = _size(begun.content)
            failures = 0 if held > most else failures + 1
            most, patched = max(most, held), True
            if failures > retries:
                raise Failed(str(fault)) from fault
            log.info("%s: %s; trying again", begun.content.name.removeprefix(PARTIAL), fault)
            time.sleep(_PAUSE * 2 ** max(failures - 1, 0))


def _receive(session: Any, url: str, begun: _Begun, tell: Callable[..., None]) -> bool:
    """Ask once for what is missing. Says whether it went on from what was there."""
    from requests.exceptions import ConnectionError as Broken
    from requests.exceptions import RequestException, Timeout, TooManyRedirects
    from urllib3.exceptions import HTTPError

    note = _noted(begun, url)
    held = _size(begun.content)
    if held and held == note.get("bytes"):  # killed between the last byte and the name
        tell(held, fresh=False)
        return True
    headers = {"Accept-Encoding": "identity"} | (_condition(held, note) if held else {})
    try:
        with session.get(url, stream=True, timeout=_TIMEOUT, headers=headers) as response:
            if held and not _goes_on(response, held, note):
                _discard(begun)
                if response.status_code != 200:
                    return _receive(session, url, begun, tell)
                held = 0
            _check_status(response)
            if not held:
                begun.note.write_text(json.dumps(_described(response, url)), encoding="utf-8")
            tell(held, fresh=False)
            _store(response, begun, tell)
    except TooManyRedirects as error:
        raise Failed(_circle(error.response)) from error
    except (Broken, Timeout, HTTPError) as error:
        no_network = "NameResolutionError" in str(error) and not held  # waiting a second would not help
        raise (Failed if no_network else _Passing)(_reason(error)) from error
    except RequestException as error:
        raise Failed(_reason(error)) from error
    return held > 0


def _noted(begun: _Begun, url: str) -> dict[str, Any]:
    """Give what the server said of the file. Without that, or of another place, what is there is of no use."""
    try:
        note = json.loads(begun.note.read_bytes())
    except (FileNotFoundError, ValueError):
        note = None
    if not isinstance(note, dict) or note.get("url") != url or _size(begun.content) > (note.get("bytes") or 1 << 62):
        _discard(begun)
        return {}
    return note


def _condition(held: int, note: dict[str, Any]) -> dict[str, str]:
    """Ask for the rest, and for all of it if the file is no longer the one that was begun."""
    tag = note.get("etag") or ""
    same = note.get("modified") if tag.startswith("W/") or not tag else tag  # a weak one is not allowed here
    return {"Range": f"bytes={held}-"} | ({"If-Range": same} if same else {})


def _described(response: Any, url: str) -> dict[str, Any]:
    length = response.headers.get("Content-Length", "")
    return {
        "url": url,
        "etag": response.headers.get("ETag"),
        "modified": response.headers.get("Last-Modified"),
        "bytes": int(length) if length.isdigit() else None,
    }


def _goes_on(response: Any, held: int, note: dict[str, Any]) -> bool:
    """Say whether an answer is the rest of the file that was begun. One that refuses says nothing against it."""
    if response.status_code in {200, 416}:
        return False
    if response.status_code != 206:
        return True
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not said or int(said[1]) != held or (note["bytes"] and said[2] not in {str(note["bytes"]), "*"}):
        return False
    now = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified")}
    return all(note[name] == value for name, value in now.items() if value and note[name])


def _check_status(response: Any) -> None:
    if response.status_code not in {200, 206}:
        said = f"the server answered {response.status_code} {response.reason}"
        raise (_Passing if response.status_code in _PASSING else Failed)(said)


def _store(response: Any, begun: _Begun, tell: Callable[..., None]) -> None:
    """Append what comes, as it comes: decoded it would be another file."""
    held = _size(begun.content)
    length = response.headers.get("Content-Length", "")
    expected = held + int(length) if length.isdigit() else None
    with begun.content.open("ab") as file:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            file.write(chunk)
            held += len(chunk)
            tell(held)
    if expected is not None and held != expected:
        raise _Passing(f"the connection broke off after {held:,} of {expected:,} bytes")


def _circle(response: Any) -> str:
    """Say where too many redirects lead."""
    passed = [one.url for one in response.history]
    if len(set(passed)) < len(passed):
        return f"the server redirects in a circle, by way of {passed[-1]}"
    return f"the server redirects more than {_REDIRECTS} times, lastly to {passed[-1]}"


def _reason(error: Exception) -> str:
    """Say in a few words what the libraries below say in nested brackets."""
    name = type(error).__name__
    if "Timeout" in name:
        return f"no answer within {_TIMEOUT} s"
    if "IncompleteRead" in f"{name} {error}":
        return "the connection broke off"
    said = re.search(r"\[Errno [^\]]*\] ([^'\")]+)", str(error))
    return said[1].strip() if said else (str(error).splitlines() or [name])[0][:200]
