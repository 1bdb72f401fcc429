"""The Hugging Face hub, asked once whether it answers."""

import functools
import logging
import urllib.error
import urllib.request

log = logging.getLogger("eyechart")
_SECONDS = 5


@functools.cache
def ask_hub() -> bool:
    """Say whether the hub answers; where it does not, its client looks only at what is cached.

    Left to itself the client tries every file for half a minute before it gives up.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError:  # it answered, if only to refuse this page
        return True
    except OSError:
        log.info(
            "%s does not answer within %d s: only weights that are cached can be used",
            constants.ENDPOINT,
            _SECONDS,
        )
        constants.HF_HUB_OFFLINE = True
        return False
    return True
