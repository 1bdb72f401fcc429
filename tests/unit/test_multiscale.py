"""One encoder at several sizes: which sizes, the mean against plain numpy, and nothing embedded or built twice."""

import numpy as np
import pytest

import eyechart as ec
from eyechart import settings
from eyechart.embedding import cost as measuring
from eyechart.embedding.cost import Seconds
from eyechart.embedding.derived import embed_any, leaves
from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind
from samples import refuses, toy

HOG = "hog(size=32, cells=4)"
PATCHES = '''
import numpy as np
from eyechart import Encoder, Transform


def patches(*, size: int | None = None, stride: int = 8, version: int = 1) -> Encoder:
    """The mean color of the upper left patch."""
    print("built", size)
    own = size or 56
    assert own % stride == 0

    def forward(batch):
        return batch[:, :stride, :stride].mean((1, 2)).astype(np.float32)

    return Encoder(dim=3, transform=Transform(size=own), forward=forward, stride=stride)
'''


def loaded(text):
    return load_encoder(bind("encoders", text))


def sizes(text):
    return [bind("encoders", part).options["size"] for part in loaded(text).parts]


@pytest.fixture
def patches(write_plugin):
    with settings.using(plugins=(write_plugin(PATCHES),)):
        yield


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_it_is_the_mean_of_rows_of_length_one_at_length_one():
    images = toy(6, size=40)
    parts = [embed(loaded(f"hog(size={size}, cells=4)"), images).x for size in (32, 24, 16)]
    found = embed_any(loaded(f'multiscale("{HOG}", scales=(1, 0.75, 0.5))'), images, {"train": images})
    assert np.allclose(found.x, unit((unit(parts[0]) + unit(parts[1]) + unit(parts[2])) / 3), atol=1e-6)
    assert np.allclose(np.linalg.norm(found.x, axis=1), 1, atol=1e-6)
    assert found.ids == images.ids


def test_every_size_counts_the_same_however_long_its_rows_are(patches):
    images = toy(6, size=40)
    parts = [embed(loaded(f"patches(size={size}, stride=8)"), images).x for size in (56, 40, 24)]
    lengths = [np.linalg.norm(x, axis=1) for x in parts]
    assert not np.allclose(lengths[0], lengths[2], rtol=0.05)
    found = embed_any(loaded('multiscale("patches(stride=8)", scales=(1, 0.7, 0.45))'), images, {"train": images})
    assert np.allclose(found.x, unit(unit(parts[0]) + unit(parts[1]) + unit(parts[2])), atol=1e-6)


def test_it_is_compared_by_the_cosine():
    assert (loaded(HOG).distance, loaded(f'multiscale("{HOG}")').distance) == ("euclidean", "cosine")


def test_the_scales_are_those_of_multi_scale_retrieval():
    assert bind("encoders", f'multiscale("{HOG}")').options["scales"] == pytest.approx((1, 2**-0.5, 0.5), abs=1e-5)
    assert sizes('multiscale("hog(size=224)")') == [224, 158, 112]


def test_scale_1_is_the_encoder_itself(forwards):
    images = toy(6, size=40)
    embed(loaded(HOG), images)
    forwards.clear()
    embed_any(loaded(f'multiscale("{HOG}", scales=(0.5, 1))'), images, {"train": images})
    assert sum(forwards) == 6  # the half size alone
    assert leaves(loaded(f'multiscale("{HOG}")'))[0].key == loaded(HOG).key


def test_a_size_that_rounds_to_its_own_is_the_encoder_itself(patches):
    derived = loaded('multiscale("patches", scales=(0.99, 0.5))')
    assert derived.parts[0] == bind("encoders", "patches").text


def test_every_size_is_stored_as_if_it_were_asked_for_alone(forwards):
    images = toy(6, size=40)
    embed_any(loaded(f'multiscale("{HOG}", scales=(1, 0.5))'), images, {"train": images})
    forwards.clear()
    embed(loaded("hog(size=16, cells=4)"), images)
    assert forwards == []


@pytest.mark.parametrize(
    ("of", "scales", "expected"),
    [
        ("patches", (1, 0.7071, 0.5), [None, 40, 32]),  # of 56: 39.6 and 28, half way between 24 and 32
        ("patches", (2, 1), [112, None]),
        ("patches", (1, 0.01), [None, 8]),  # one patch
        ("patches(size=64)", (1, 0.7071, 0.5), [64, 48, 32]),
        ("patches(stride=1)", (1, 0.7071), [None, 40]),
    ],
)
def test_sizes_are_multiples_of_what_the_encoder_can_take(patches, of, scales, expected):
    assert sizes(f'multiscale("{of}", scales={scales})') == expected


def test_a_size_of_its_own_that_is_no_multiple_stays():
    derived = loaded('multiscale("timm:test_resnet(pretrained=False, size=41)", scales=(1, 0.5))')
    assert [bind("encoders", part).options["size"] for part in derived.parts] == [41, 21]


def test_nothing_is_built_once_everything_is_known(patches, capsys):
    text = 'multiscale("patches", scales=(1, 0.5))'
    first = loaded(text)
    assert capsys.readouterr().out.split("\n")[:-1] == ["built None", "built 32"]
    assert loaded(text).key == first.key
    assert capsys.readouterr().out == ""


def test_friendly_names_and_their_options_work():
    parts = loaded('multiscale("random_vit(seed=3)", scales=(1, 0.5))').parts
    assert parts[0] == bind("encoders", "random_vit(seed=3)").text
    assert parts[1] == bind("encoders", "random_vit(seed=3, size=16)").text


def test_vision_transformers_see_whole_patches_at_every_size():
    images = toy(4, size=40)
    encoder = loaded('multiscale("timm:test_vit(pretrained=False)")')  # of 160: 113.1 and 80, patches of 16
    assert [bind("encoders", part).options["size"] for part in encoder.parts] == [None, 112, 80]
    assert embed_any(encoder, images, {"train": images}).x.shape == (4, 64)


def test_other_scales_make_another_key():
    texts = (f'multiscale("{HOG}")', f'multiscale("{HOG}", scales=(1, 0.5))', 'multiscale("hog(size=32, cells=5)")')
    assert len({loaded(text).key for text in texts}) == 3


def test_it_can_be_quantized_and_reduced():
    inner = f"multiscale({HOG!r}, scales=(1, 0.5))"
    images = toy(12, size=40)
    found = embed_any(loaded(f"reduce({inner!r}, pca=3)"), images, {"train": images})
    assert found.x.shape == (12, 3)


@pytest.mark.parametrize("of", ["noise", "hsv_histogram", 'reduce(\\"hog\\", pca=3)'])
def test_an_encoder_without_another_size_is_refused(of):
    with refuses("multiscale", "has no option size", "timm:NAME"):
        loaded(f'multiscale("{of}")')


def test_sizes_that_coincide_are_refused(patches):
    with refuses("scales 1 and 0.99 of patches both make 56 pixels", "multiples of 8", "leave one out"):
        loaded('multiscale("patches", scales=(1, 0.99))')


def test_embeddings_of_another_dimension_at_each_size_are_refused():
    with refuses("those of pixels have 768 dimensions at 16 pixels, 192 dimensions at 8 pixels"):
        loaded('multiscale("pixels", scales=(1, 0.5))')


@pytest.mark.parametrize("scales", ["1", "()", "(1, 0)", "(1, -0.5)", "(1, 1e300)"])
def test_scales_are_two_or_more_above_zero(scales):
    with refuses("scales"):
        loaded(f'multiscale("{HOG}", scales={scales})')


def test_it_needs_an_encoder():
    with refuses('multiscale needs an encoder: multiscale("dinov2_b14")'):
        loaded("multiscale")


def test_it_costs_the_sum_of_its_sizes(monkeypatch):
    monkeypatch.setattr(measuring, "timed", lambda call, images, **_: Seconds(median=0.1, low=0.1, high=0.1, n=1))
    whole, one = ec.cost([f'multiscale("{HOG}", scales=(1, 0.5))', HOG])
    assert whole.value("latency_ms", part="forward") == pytest.approx(2 * one.value("latency_ms", part="forward"))
    assert whole.value("bytes_per_embedding") == one.value("bytes_per_embedding") == 4 * 324
