"""What the hub answers to those who may not have something, and what eyechart makes of it."""

from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from eyechart import settings
from eyechart.encoders import _hub
from eyechart.encoders.hf import hf
from eyechart.encoders.open_clip import open_clip
from eyechart.encoders.timm import timm
from eyechart.errors import NotHere, Unavailable
from samples import refused, refuses

PLACE = "https://huggingface.co/timm/vit_small_patch16_dinov3.lvd1689m/resolve/main/model.safetensors"


def answered(kind, status, url=PLACE):
    """An error as the hub's client raises it for an answer."""
    response = SimpleNamespace(status_code=status, url=url, headers={}, request=None)
    return kind(f"{status} Client Error.\n\nCannot access {url}.", response=response)


def caused(error, kind=OSError):
    wrapped = kind("You are trying to access a gated repo.\nMake sure to have access to it.")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("wrap", [lambda error: error, caused])
def test_a_license_to_accept_is_said_with_the_place_and_the_way_to_log_in(status, wrap):
    error = wrap(answered(GatedRepoError, status))
    name = "timm/vit_small_patch16_dinov3.lvd1689m"
    assert _hub.hub_reason(error) == f"the hub gives {name} only to those who accepted its license and are logged in"
    assert f"accept the license at https://huggingface.co/{name} and log in" in _hub.hub_remedy(error)
    assert "`hf auth login`" in _hub.hub_remedy(error)
    assert "HF_TOKEN" in _hub.hub_remedy(error)


@pytest.mark.parametrize("status", [401, 403])
def test_another_refusal_says_its_number_and_what_may_help(status):
    error = answered(HfHubHTTPError, status)
    assert _hub.hub_reason(error) == f"the hub refuses timm/vit_small_patch16_dinov3.lvd1689m: {status}"
    assert "accept the license" in _hub.hub_remedy(error)
    assert "if it asks for that" in _hub.hub_remedy(error)


@pytest.mark.parametrize("wrap", [lambda error: error, caused])
def test_a_hub_out_of_reach_is_said_in_words_of_our_own(wrap):
    error = wrap(LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub and ..."))
    assert _hub.hub_reason(error) == "the hub does not answer, and this is not in its cache"
    assert _hub.hub_remedy(error) == "connect to the internet once"


@pytest.mark.parametrize("status", [401, 404])
def test_a_repository_that_is_not_there_is_no_matter_of_licenses(status):
    error = answered(RepositoryNotFoundError, status, "https://huggingface.co/api/models/nobody/nothing")
    assert _hub.hub_reason(error) == "the hub has no nobody/nothing, or does not show it to you"
    assert _hub.hub_remedy(error).startswith("check the name, or log in")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://mirror.example/a/b/resolve/main/x", "a/b"),
        ("https://huggingface.co/datasets/a/b/resolve/main/x", "datasets/a/b"),
        ("https://huggingface.co/a.b_c-d/e.f/tree", "a.b_c-d/e.f"),
        ("", "this repository"),
    ],
)
def test_the_page_of_a_license_is_at_the_hub_itself(url, name):
    assert f"https://huggingface.co/{name} " in _hub.hub_remedy(answered(GatedRepoError, 403, url))


def test_what_is_no_refusal_is_quoted_and_needs_a_network():
    error = ConnectionError("Name or service not known\nmore")
    assert (_hub.hub_reason(error), _hub.hub_remedy(error)) == (
        "Name or service not known",
        "connect to the internet once",
    )
    assert _hub.hub_remedy(answered(HfHubHTTPError, 500)) == "connect to the internet once"


@pytest.fixture
def gated(monkeypatch):
    def refuse(*_, **__):
        raise answered(GatedRepoError, 403)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", refuse)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)


GATED = {
    "timm": lambda: timm("vit_small_patch16_dinov3.lvd1689m"),
    "open_clip": lambda: open_clip("ViT-B-32/openai"),
    "hf": lambda: hf("facebook/dinov3-vits16-pretrain-lvd1689m"),
}


@pytest.mark.parametrize("encode", GATED.values(), ids=GATED)
def test_encoders_with_gated_weights_say_so_in_one_line(encode, gated):
    with refuses("cannot be had", "accepted its license", "https://huggingface.co/timm/", "hf auth login") as caught:
        encode()
    assert isinstance(caught.value, Unavailable)
    assert "connect to the internet" not in str(caught.value)


def test_a_run_with_gated_weights_says_so_as_well(gated, eyechart):
    said = "accept the license at https://huggingface.co/timm/vit_small_patch16_dinov3.lvd1689m and log in"
    refused(eyechart("run", "--encoder", "dinov3_s16", "--limit", "40", "--task", "knn(k=1)"), said)


def test_while_looking_the_hub_is_not_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_hub, "answers", None)
    with settings.looking(), pytest.raises(NotHere), _hub.hub_if_it_answers():
        assert constants.HF_HUB_OFFLINE
        raise OSError("not cached")
    assert not constants.HF_HUB_OFFLINE


def test_while_looking_what_is_wrong_otherwise_is_still_said():
    with settings.looking(), pytest.raises(ValueError, match="depth"), _hub.hub_if_it_answers():
        raise ValueError("depth")
