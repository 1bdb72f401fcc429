"""SIFT descriptors against OpenCV called directly, and bags of visual words against plain numpy and scikit-learn."""

import dataclasses
import logging
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

import eyechart as ec
from eyechart.case import Case
from eyechart.embedding.derived import width
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.preparing import prepare
from eyechart.encoders import sift as sift_module
from eyechart.encoders import sift_bovw as sift_bovw_module
from eyechart.images.views import from_arrays
from eyechart.registry import bind
from samples import output_of, picture, refuses, smooth

PICTURES = [smooth(seed, 96, 128) for seed in range(8)]
FLAT = np.full((96, 128, 3), 90, np.uint8)


def loaded(text):
    return load_encoder(bind("encoders", text))


def rows(images, options="keypoints=60"):
    return prepare(loaded(f"sift({options})"), images)


def descriptors(image, keypoints=None):
    """What OpenCV finds of its own, the strongest first."""
    points, found = cv2.SIFT_create().detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if not points:
        return np.zeros((0, 128), np.float32)
    keys = [[p.angle for p in points], [p.size for p in points], *np.transpose([p.pt for p in points])]
    return found[np.lexsort([*keys, [-p.response for p in points]])][:keypoints]


def pictured(images, name="image"):
    """A split of some images of one size."""
    labels = np.arange(len(images)) % 2
    ids = [f"{name}-{number}" for number in range(len(images))]
    return from_arrays(np.stack(images), labels, classes=("a", "b"), ids=ids)


@pytest.mark.parametrize("keypoints", [1, 20, 60])
def test_rows_are_the_strongest_descriptors_of_opencv(keypoints):
    found = rows(PICTURES[:3], f"keypoints={keypoints}")
    for row, image in zip(found, PICTURES, strict=False):
        expected = descriptors(image, keypoints)
        assert np.array_equal(row.reshape(keypoints, 128)[: len(expected)], expected)


def test_equally_strong_keypoints_have_an_order_of_their_own():
    tiled = np.tile(smooth(0, 64, 64), (3, 3, 1))  # the same patterns nine times
    strengths = [p.response for p in cv2.SIFT_create().detect(cv2.cvtColor(tiled, cv2.COLOR_RGB2GRAY))]
    assert len(set(strengths)) < len(strengths)
    for keypoints in range(1, 60, 7):
        assert np.array_equal(
            rows([tiled], f"keypoints={keypoints}")[0].reshape(-1, 128), descriptors(tiled, keypoints)
        )


def test_an_image_with_fewer_keypoints_has_zeros_after_them():
    expected = descriptors(PICTURES[0])
    (row,) = rows([PICTURES[0]], "keypoints=200").reshape(1, 200, 128)
    assert 0 < len(expected) < 200
    assert np.array_equal(row, np.pad(expected, ((0, 200 - len(expected)), (0, 0))))
    assert row[: len(expected)].any(axis=1).all()


def test_numbers_are_whole_and_fit_a_byte():
    found = rows(PICTURES)
    assert found.dtype == np.float32
    assert np.array_equal(found, found.astype(np.uint8))


def test_rootsift_is_the_square_root_of_shares():
    plain, roots = (rows(PICTURES[:2], f"keypoints=90, rootsift={on}").reshape(2, 90, 128) for on in (False, True))
    for descriptor, root in zip(plain[0][:20], roots[0], strict=False):
        assert root == pytest.approx(np.sqrt(descriptor / np.abs(descriptor).sum()), abs=1e-7)
    assert np.array_equal(roots.any(axis=2), plain.any(axis=2))


@pytest.mark.parametrize(
    "image", [FLAT, picture(0, 1, 1), picture(0, 1, 90), picture(0, 90, 2)], ids=["flat", "a pixel", "a row", "a strip"]
)
def test_an_image_without_keypoints_is_zeros(image):
    assert np.array_equal(rows([image]), np.zeros((1, 60 * 128)))


def test_gray_and_transparent_files_are_images_as_others_are(tmp_path):
    gray = PICTURES[0][..., 0]
    kinds = {"gray.png": gray, "color.png": np.stack([gray] * 3, axis=2)}
    kinds["opaque.png"] = np.dstack([kinds["color.png"], np.full_like(gray, 255)])
    for name, pixels in kinds.items():
        Image.fromarray(pixels).save(tmp_path / name)
    x = ec.Embedder("sift(keypoints=60)").fit_transform([tmp_path / name for name in kinds])
    assert x.shape == (3, 60 * 128)
    assert x[0].any()
    assert (x == x[0]).all()


@pytest.mark.parametrize("alone", [0, 10**9])
def test_threads_and_turns_change_nothing(monkeypatch, alone):
    expected = rows(PICTURES)
    monkeypatch.setattr(sift_module, "_LARGE", alone)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(rows, [PICTURES] * 6))


@pytest.mark.parametrize("keypoints", [0, -1, 100_001])
def test_a_number_of_keypoints_that_cannot_be_is_refused(keypoints):
    with refuses("sift: keypoints must be between 1 and 100,000", f"got {keypoints}"):
        loaded(f"sift(keypoints={keypoints})")


def test_images_without_keypoints_are_named_in_a_warning(caplog):
    with caplog.at_level(logging.WARNING, logger="eyechart"):
        z = ec.embed("sift(keypoints=60)", {"test": pictured([*PICTURES, FLAT])})
    assert "test: 1 of 9 embeddings are nothing but zeros: image-8" in caplog.text
    assert not z["test"].x[8].any()


# Bags of visual words


def drawn(x, sample, most, seed):
    rng = np.random.default_rng(seed)
    found = []
    for image in sorted(rng.choice(len(x), min(most, len(x)), replace=False)):
        each = np.array([one for one in x[image].reshape(-1, 128) if one.sum() > 0], np.float32).reshape(-1, 128)
        if len(each) > sample:
            each = each[sorted(rng.choice(len(each), sample, replace=False))]
        found += list(each)
    return np.array(found, np.float32)


def bag(x, *, words=8, rootsift=False, idf=False, sample=300, most=800, seed=42):
    """An independent bag of words: every distance written out, in double precision."""

    def seen(found):
        return np.sqrt(found / found.sum(axis=1, keepdims=True)) if rootsift else found

    with threadpool_limits(1):
        model = KMeans(words, n_init=3, max_iter=100, random_state=seed).fit(seen(drawn(x, sample, most, seed)))
    counts = np.zeros((len(x), words))
    for image, row in enumerate(x.reshape(len(x), -1, 128)):
        found = row[row.sum(axis=1) > 0]
        for one in seen(found).astype(np.float64):
            counts[image, np.square(model.cluster_centers_ - one).sum(axis=1).argmin()] += 1
    if idf:
        counts *= np.log(len(x) / (counts > 0).sum(axis=0))
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-12)


def found_bag(x, **options):
    encoder = loaded("sift_bovw(keypoints=60{})".format("".join(f", {k}={v}" for k, v in options.items())))
    return encoder.apply(encoder.fit([x]), [x])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"words": 30, "idf": True},
        {"rootsift": True},
        {"rootsift": True, "idf": True, "words": 40},
        {"sample": 20, "most": 5, "seed": 7},
    ],
    ids=str,
)
def test_it_is_an_independent_bag_of_words(options):
    x = rows([*PICTURES, FLAT])
    made = found_bag(x, **({"words": 8} | options))
    assert made.dtype == np.float32
    assert made == pytest.approx(bag(x, **options), abs=1e-6)


def test_rows_have_length_one_and_are_compared_by_the_cosine():
    made = found_bag(rows(PICTURES), words=8)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-6)
    assert loaded("sift_bovw").distance == "cosine"


def test_counts_are_known_by_hand():
    x = np.zeros((3, 4, 128), np.float32)
    x[0, :, 0] = 100, 101, 99, 100  # one pattern four times
    x[1, :3, 0], x[1, 3, 1] = (100, 100, 100), 50  # three times, and another once
    encoder = loaded("sift_bovw(words=2, keypoints=4)")
    made = encoder.apply(encoder.fit([x.reshape(3, -1)]), [x.reshape(3, -1)])
    often, once = made[0].argmax(), made[0].argmin()
    assert made[:, often] == pytest.approx([1, 3 / np.sqrt(10), 0])
    assert made[:, once] == pytest.approx([0, 1 / np.sqrt(10), 0])


def test_idf_is_the_logarithm_of_how_few_images_have_a_word():
    counts = np.array([[1, 0, 3, 0], [2, 0, 0, 0], [9, 1, 1, 0]], np.float32)
    found = sift_bovw_module._rarity(counts, "train")
    assert found == pytest.approx([0, np.log(3), np.log(1.5), 0])  # that all have, one, two, none


def test_idf_of_a_single_image_is_refused():
    with refuses("each word is in all of the 1 images of train or in none", "idf=False"):
        found_bag(rows(PICTURES[:1]), words=4, idf=True)


def test_a_single_image_is_enough_for_words():
    assert found_bag(rows(PICTURES[:1]), words=4).shape == (1, 4)


def test_of_equally_near_words_the_first_counts():
    encoder, x = loaded("sift_bovw(words=3, keypoints=60)"), rows(PICTURES)
    learned = encoder.fit([x])
    same = dataclasses.replace(learned, words=np.repeat(learned.words[:1], 3, axis=0))
    assert np.array_equal(encoder.apply(same, [x]), np.tile([1, 0, 0], (8, 1)))


def test_a_row_depends_on_its_own_image_alone():
    encoder, x = loaded("sift_bovw(words=8, keypoints=60, idf=True)"), rows(PICTURES)
    learned, order = encoder.fit([x]), np.random.default_rng(0).permutation(len(x))
    together = encoder.apply(learned, [x])
    assert np.array_equal(encoder.apply(learned, [x[order]]), together[order])
    assert all(np.array_equal(encoder.apply(learned, [x[i : i + 1]])[0], together[i]) for i in range(len(x)))


def test_more_images_than_a_block_holds_are_counted_alike(monkeypatch):
    x = rows(PICTURES)
    whole = found_bag(x, words=8, idf=True)
    monkeypatch.setattr("eyechart.encoders._rows.BLOCK", 3)
    assert np.array_equal(found_bag(x, words=8, idf=True), whole)


def test_images_without_keypoints_are_named_beside_the_numbers(tmp_path):
    data = {split: pictured(PICTURES[:6], split) for split in ("train", "val")}
    data["test"] = pictured([*PICTURES[6:], FLAT, FLAT // 2], "test")
    out = ec.run(encoder=["sift_bovw(words=8, keypoints=60)"], data=[data], task=["knn(k=1)"], out=tmp_path / "out")
    (record,) = out.records
    assert "test: 2 of 4 embeddings are nothing but zeros: test-2, test-3" in record.notes


@pytest.mark.parametrize(("images", "found"), [(PICTURES[:1], "60"), ([FLAT, FLAT], "0"), (PICTURES[:1] * 2, "60")])
def test_fewer_different_descriptors_than_words_are_refused(images, found):
    with refuses("sift_bovw: 61 words", f"{len(images)} images of train gave {found}"):
        found_bag(rows(images), words=61)


@pytest.mark.parametrize("option", ["words=1", "sample=0", "most=0", "seed=-1", "seed=4294967296"])
def test_options_that_cannot_be_are_refused(option):
    with refuses("sift_bovw: words must be at least 2", f"{option}"):
        loaded(f"sift_bovw({option})")


def test_keypoints_are_those_of_the_descriptors():
    with refuses("sift: keypoints must be between 1"):
        loaded("sift_bovw(keypoints=0)")


def test_the_dimension_is_known_before_anything_is_learned():
    assert width(loaded("sift_bovw")) == 512
    assert width(loaded('concat(parts=("sift_bovw(words=9)", "noise(dim=3)"))')) == 12


def test_words_with_and_without_roots_come_from_the_same_stored_descriptors(forwards):
    data = {"train": pictured(PICTURES)}
    ec.embed("sift_bovw(words=8, keypoints=60)", data)
    ec.embed("sift_bovw(words=8, keypoints=60, rootsift=True)", data)
    assert sum(forwards) == len(PICTURES)


WORDS = """
import hashlib, sys
import numpy as np
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind

x = np.random.default_rng(0).integers(0, 200, (40, 60 * 128)).astype(np.float32)
encoder = load_encoder(bind("encoders", "sift_bovw(words=20, keypoints=60, idf=True)"))
learned = encoder.fit([x])
made = learned.words.tobytes() + learned.weights.tobytes() + encoder.apply(learned, [x]).tobytes()
print(hashlib.sha256(made).hexdigest())
"""


def test_words_are_the_same_in_any_process_on_any_number_of_threads():
    assert len({output_of(WORDS, OMP_NUM_THREADS=threads) for threads in (1, 2)}) == 1


# Which split it learns from


def splits():
    return {
        "train": pictured(PICTURES[:4], "train"),
        "test": pictured(PICTURES[4:], "test"),
    }


def test_data_with_test_alone_can_be_embedded_with_words_of_test():
    data = {"test": pictured(PICTURES)}
    z = ec.embed('sift_bovw(words=8, keypoints=60, split="test")', data)["test"]
    assert z.x == pytest.approx(bag(rows(PICTURES)), abs=1e-6)


def test_a_split_that_is_not_there_is_refused_with_those_that_are():
    with refuses("sift_bovw learns from train, and there are only test", 'split="test"'):
        ec.embed("sift_bovw(words=8, keypoints=60)", {"test": pictured(PICTURES)})
    with refuses("sift_bovw learns from gallery, and there are only train, test", 'split="train"'):
        ec.embed('sift_bovw(words=8, keypoints=60, split="gallery")', splits())


def test_the_split_is_part_of_the_key():
    assert loaded("sift_bovw").key == loaded('sift_bovw(split="train")').key
    assert loaded("sift_bovw").key != loaded('sift_bovw(split="test")').key


def test_words_of_different_splits_are_never_mixed_up():
    one, other = "sift_bovw(words=8, keypoints=60)", 'sift_bovw(words=8, keypoints=60, split="test")'
    both = ec.embed(f"concat(parts=({one!r}, {other!r}))", splits())
    apart = [ec.embed(text, splits()) for text in (one, other)]
    for split, z in both.items():
        expected = np.hstack([found[split].x for found in apart])
        assert z.x == pytest.approx(expected, abs=1e-6)
    assert not np.array_equal(apart[0]["train"].x, apart[1]["train"].x)


def test_what_is_made_of_words_learns_from_its_own_split():
    words = 'sift_bovw(words=8, keypoints=60, split="test")'
    z, whiten = ec.embed(words, splits()), loaded(f"whiten({words!r})")
    axes = whiten.fit([z["train"].x])
    found = ec.embed(f"whiten({words!r})", splits())
    assert np.array_equal(found["test"].x, whiten.apply(axes, [z["test"].x]))


def test_a_task_that_has_only_test_can_use_words_of_test():
    data = {"test": pictured(PICTURES)}
    case = Case(encoder=loaded('sift_bovw(words=8, keypoints=60, split="test")'), data=data, task="any")
    assert case.embed("test").x.shape == (8, 8)


def test_the_transformer_learns_words_from_what_it_is_fitted_on():
    embedder = ec.Embedder('sift_bovw(words=8, keypoints=60, split="test")')
    assert embedder.fit_transform(PICTURES) == pytest.approx(bag(rows(PICTURES)), abs=1e-6)
