"""The Hugging Face hub, asked now and then whether it answers."""

import contextlib
import functools
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

log = logging.getLogger("eyechart")
_SECONDS = 5
_ASK_AGAIN = 60


@contextlib.contextmanager
def hub_if_it_answers() -> Iterator[None]:
    """Within the block, the hub's client looks only at what is cached where the hub does not answer.

    Left to itself the client tries every file for half a minute before it gives up. It is as it was after the block,
    so that a notebook whose network comes back is not left offline.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT, int(time.monotonic() // _ASK_AGAIN))
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@functools.lru_cache(maxsize=1)
def _answers(endpoint: str, minute: int) -> bool:
    """Ask the hub; `minute` is there for the cache, so that many encoders in a row ask once."""
    try:
        request = urllib.request.Request(endpoint, method="HEAD")
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError:  # it answered, if only to refuse this page
        return True
    except OSError:
        log.info("%s does not answer within %d s: only weights that are cached can be used", endpoint, _SECONDS)
        return False
    return True
