"""The task zeroshot: what is said to the tower for texts, what is made of it, and what is refused."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip as library
import pytest
import torch
from open_clip.zero_shot_classifier import build_zero_shot_classifier
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES
from scipy.optimize import minimize_scalar

import eyechart as ec
from eyechart.case import Case
from eyechart.embedding.loading import identity
from eyechart.encoders.open_clip import open_clip
from eyechart.estimate import dry_run
from eyechart.registry import bind
from eyechart.tasks import zeroshot as module
from eyechart.tasks._prompts import templates_of, words_of
from eyechart.tasks._templates import TEMPLATES
from eyechart.tasks.zeroshot import zeroshot
from eyechart.types import Derived, Embeddings, Encoder, Images
from samples import mean_color, photos, picture, plain_encoder, refuses, toy

ROOT = Path(__file__).parents[2]


def no_pixels(row):
    raise AssertionError("what is stored is not computed")


def reads(vectors):
    """A tower for texts that knows some texts and nothing else, and a list of the batches it was given."""
    given = []

    def text(lines):
        given.append(list(lines))
        return np.array([vectors[line] for line in lines], np.float32)

    return text, given


def made(text, *, classes=("cat", "dog"), module=None, **splits):
    """A case of embeddings alone: of each split rows and classes."""
    data, seen = {}, {}
    for split, (rows, labels) in splits.items():
        x, y = np.array(rows, np.float32), np.array(labels, np.int64)
        ids = tuple(f"{split}-{row}" for row in range(len(y)))
        data[split] = Images(
            hashes=np.zeros((len(y), 32), np.uint8), load=no_pixels, labels=y, classes=classes, ids=ids
        )
        if split != "train":
            seen[split] = Embeddings(x=x, y=y, classes=classes, ids=ids)
        dim = x.shape[1]
    encoder = Encoder(dim=dim, text=text, module=module)
    return Case(encoder=encoder, data=data, task="test", label="toy", seen=seen)


CATS = {"a photo of a cat.": (1, 0), "a photo of a dog.": (0, 1)}
PHOTO = {"templates": "photo", "temperature": 1.0}
FOUR = [(3.0, 1.0), (0.1, 0.2), (5.0, 4.0), (-1.0, 0.0)]


def cats(x=FOUR, y=(0, 1, 1, 0), vectors=CATS, **more):
    text, _ = reads(vectors)
    return made(text, test=(x, y), **more)


def one(measures, metric="accuracy", **facets):
    (measure,) = [m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items())]
    return measure


def run(case, **options):
    return list(zeroshot(case, **{**PHOTO, **options}))


def test_the_class_whose_text_is_nearest_is_predicted():
    found = one(run(cats()), split="test")
    assert found.predicted.tolist() == [0, 1, 0, 1]
    assert (found.value, found.n) == (0.5, 4)


def test_neither_the_length_of_an_image_nor_that_of_a_text_matters():
    longer = [tuple(1000 * value for value in row) for row in FOUR]
    vectors = {"a photo of a cat.": (0.001, 0), "a photo of a dog.": (0, 7)}
    before, after = (run(case) for case in (cats(), cats(longer, vectors=vectors)))
    assert one(after, split="test").predicted.tolist() == one(before, split="test").predicted.tolist()
    for metric in ("confidence", "nll"):
        assert np.allclose(one(after, metric).outcomes, one(before, metric).outcomes, atol=1e-6)


# The mean of cat's directions is (0.5, 0.5), and that of its texts as they are (50, 0.5). By the first template alone
# an image at (0.6, 0.6) is a dog's, and by means of what is not normalized first.
TWO = {"one cat": (100, 0), "no cat": (0, 1), "one dog": (0.8, 0.6), "no dog": (0.8, 0.6)}


def test_several_templates_are_normalized_averaged_and_normalized_again():
    image = (0.6, 0.6)
    both = cats([image], (0,), vectors=TWO)
    found = run(both, templates=("one {}", "no {}"), temperature=0.5)
    cosines = 1.0, (0.8 + 0.6) / math.sqrt(2)  # of (1, 1) and (1, 1), and of (1, 1) and (0.8, 0.6)
    assert one(found).predicted.tolist() == [0]
    assert one(found, "confidence").value == pytest.approx(
        1 / (1 + math.exp((cosines[1] - cosines[0]) / 0.5)), abs=1e-6
    )
    first = run(cats([image], (0,), vectors=TWO), templates=("one {}",))
    assert one(first).predicted.tolist() == [1]
    raw = np.array([(50, 0.5), (0.8, 0.6)])
    assert np.argmax(raw / np.linalg.norm(raw, axis=1, keepdims=True) @ image) == 1  # without the first normalization


def test_the_mean_of_directions_has_length_1_again():
    vectors = {"one cat": (1, 0), "no cat": (0, 1), "one dog": (1, 0), "no dog": (1, 0)}
    image = (0.8, 0.6)  # 0.99 along (1, 1) / sqrt(2), but 0.7 along (0.5, 0.5), which is less than 0.8 along (1, 0)
    measures = run(cats([image], (0,), vectors=vectors), templates=("one {}", "no {}"))
    assert one(measures).predicted.tolist() == [0]
    expected = 1 / (1 + math.exp(0.8 - 1.4 / math.sqrt(2)))
    assert one(measures, "confidence").value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_probabilities_are_the_softmax_of_the_cosine_over_the_temperature(temperature):
    found = run(cats(), temperature=temperature)
    cosines = np.array([row / np.linalg.norm(row) for row in np.array(FOUR)])
    odds = np.exp(cosines / temperature)
    expected = odds / odds.sum(axis=1, keepdims=True)
    assert np.allclose(one(found, "confidence").outcomes, expected.max(axis=1), atol=1e-6)
    assert one(found, "nll").value == pytest.approx(-np.log(expected[range(4), [0, 1, 1, 0]]).mean(), abs=1e-5)
    assert one(found, "brier").value == pytest.approx(
        ((expected - np.eye(2)[[0, 1, 1, 0]]) ** 2).sum(axis=1).mean(), abs=1e-5
    )


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_temperature_is_the_one_that_the_encoder_was_trained_with(shape):
    network = SimpleNamespace(logit_scale=torch.full(shape, math.log(20.0)))
    case = cats(module=network)
    own, stated = run(case, temperature=None), run(cats(), temperature=0.05)
    assert np.allclose(one(own, "nll").outcomes, one(stated, "nll").outcomes, rtol=1e-5)
    assert not [note for note in case.notes if "logit_scale" in note]


def test_where_no_temperature_is_known_it_is_that_of_clip_and_that_is_noted():
    case = cats()
    own, stated = run(case, temperature=None), run(cats(), temperature=0.01)
    assert np.array_equal(one(own, "nll").outcomes, one(stated, "nll").outcomes)
    assert "the encoder has no logit_scale; probabilities are those of CLIP's temperature, 0.01" in case.notes


def test_no_prediction_depends_on_the_temperature():
    predicted = [one(run(cats(), temperature=t)).predicted.tolist() for t in (0.001, 1.0, 50.0)]
    assert predicted[0] == predicted[1] == predicted[2]


def test_underscores_are_read_as_spaces():
    vectors = {"a photo of a polar bear.": (1, 0), "a photo of a hot dog.": (0, 1)}
    case = cats(vectors=vectors, classes=("polar_bear", "hot__dog_"))
    assert one(run(case)).predicted.tolist() == [0, 1, 0, 1]


def test_a_name_may_stand_in_several_places_and_hold_braces():
    vectors = {"{x}: a {x}": (1, 0), "{}: a {}": (0, 1)}
    case = cats(vectors=vectors, classes=("{x}", "{}"))
    assert one(run(case, templates=("{}: a {}",))).predicted.tolist() == [0, 1, 0, 1]


def test_of_equally_near_classes_the_first_is_predicted():
    assert one(run(cats([(1, 1), (-2, -2)], (0, 1)))).predicted.tolist() == [0, 0]
    turned = {"a photo of a cat.": (0, 1), "a photo of a dog.": (1, 0)}
    assert one(run(cats([(1, 1), (-2, -2)], (0, 1), vectors=turned))).predicted.tolist() == [0, 0]


def test_an_image_without_a_direction_is_equally_far_from_everything():
    found = run(cats([(0, 0)], (1,)))
    assert one(found).predicted.tolist() == [0]
    assert one(found, "confidence").value == pytest.approx(0.5)


def test_classes_of_the_same_words_cannot_be_told_apart_and_that_is_noted():
    text, given = reads({"a photo of a crane.": (0.3, 0.1), "a photo of a cat.": (0, 1)})
    case = made(text, classes=("crane_", "cat", "crane"), test=([(3, 1), (0, 1), (3, 1)], [0, 1, 2]))
    assert one(run(case)).predicted.tolist() == [0, 1, 0]
    assert given == [["a photo of a crane.", "a photo of a cat."]]
    said = "2 classes are called 'crane' ('crane_', 'crane'), and the first of them is predicted for all"
    assert [note for note in case.notes if note.startswith(said)]


def test_images_are_taken_block_by_block(rng):
    x = rng.standard_normal((8192 + 9, 2))
    found = one(run(cats(x, np.zeros(len(x)))))
    assert np.array_equal(found.predicted, (x[:, 1] > x[:, 0]).astype(int))


def test_many_classes_of_one_name_tie_exactly(rng):
    classes = tuple(f"{'_' * (i % 9)}bird{i // 9}" for i in range(81))
    vectors = {f"a photo of a bird{i}.": rng.standard_normal(7) for i in range(9)}
    x, y = rng.standard_normal((50, 7)), np.arange(50)
    case = made(reads(vectors)[0], classes=classes, test=(x, y))
    assert set((one(run(case)).predicted % 9).tolist()) == {0}


def test_accuracy_is_measured_on_val_too_and_train_is_not_looked_at():
    text, _ = reads(CATS)
    case = made(text, train=([(0, 0)], [0]), val=(FOUR[:3], [0, 0, 0]), test=(FOUR, [0, 1, 1, 0]))
    found = run(case)
    assert one(found, split="val").value == pytest.approx(2 / 3)
    assert {m.facets["split"] for m in found} == {"val", "test"}
    assert set(case.seen) == {"val", "test"}


def test_a_test_alone_is_enough():
    case = cats()
    found = run(case)
    assert {m.facets["split"] for m in found} == {"test"}
    assert {m.facets.get("calibrated") for m in found} == {None, False}
    assert any("there is no val" in note for note in case.notes)


def test_calibrated_probabilities_have_the_temperature_that_val_is_best_at(rng):
    text, _ = reads(CATS)
    x, y = rng.standard_normal((200, 2)), rng.integers(0, 2, 200)
    y = np.where(rng.random(200) < 0.7, (x[:, 1] > x[:, 0]).astype(int), y)
    case = made(text, val=(x[:120], y[:120]), test=(x[120:], y[120:]))
    found = run(case, temperature=0.01)
    cosines = x / np.linalg.norm(x, axis=1, keepdims=True) / 0.01

    def loss(log_t, rows):
        logits = torch.tensor(cosines[rows] / math.exp(log_t))
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(y[rows])))

    best = minimize_scalar(lambda log_t: loss(log_t, slice(0, 120)), bounds=(0, 10), method="bounded").x
    assert one(found, "nll", calibrated=True).value == pytest.approx(loss(best, slice(120, None)), rel=1e-4)
    assert one(found, "nll", calibrated=False).value == pytest.approx(loss(0.0, slice(120, None)), rel=1e-4)


def test_a_val_without_an_error_bounds_its_temperature_and_that_is_noted():
    text, _ = reads(CATS)
    case = made(text, val=([(1, 0), (0, 1)], [0, 1]), test=(FOUR, [0, 1, 1, 0]))
    run(case)
    assert any("is a bound: on val, all images are right" in note for note in case.notes)


def test_what_ranks_beyond_the_first_is_measured_as_well():
    names = tuple("abcdefg")
    vectors = {f"a photo of a {name}.": row for name, row in zip(names, np.eye(7), strict=True)}
    x = np.arange(7, 0, -1) * np.ones((2, 1))  # a is nearest, then b, ...
    found = run(made(reads(vectors)[0], classes=names, test=(x, [4, 5])))
    assert one(found, "top5_accuracy").value == 0.5
    assert {"auroc", "average_precision", "balanced_accuracy", "macro_f1", "ece", "aurc"} <= {m.metric for m in found}


# --- how texts are embedded ---


def test_texts_are_embedded_in_batches_of_whole_classes(monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 5)
    names = ("a", "b", "c")
    vectors = {f"{way} {name}": (i, 1) for i, name in enumerate(names) for way in ("one", "no")}
    text, given = reads(vectors)
    run(made(text, classes=names, test=([(1, 1)], [1])), templates=("one {}", "no {}"))
    assert given == [["one a", "no a", "one b", "no b"], ["one c", "no c"]]


def test_how_many_texts_are_embedded_at_once_changes_no_answer(rng, monkeypatch):
    names = tuple(f"c{i}" for i in range(30))
    vectors = {f"{way} {name}": rng.standard_normal(5) for name in names for way in ("one", "no")}
    x, y = rng.standard_normal((40, 5)), np.arange(40) % 30
    found = []
    for size in (1, 7, 256):
        monkeypatch.setattr(module, "_AT_ONCE", size)
        found.append(one(run(made(reads(vectors)[0], classes=names, test=(x, y)), templates=("one {}", "no {}"))))
    assert found[0].predicted.tolist() == found[1].predicted.tolist() == found[2].predicted.tolist()


def test_the_same_texts_are_embedded_once_for_each_encoder():
    text, given = reads({**CATS, "cat": (1, 0), "dog": (0, 1)})
    case = made(text, test=(FOUR, [0, 1, 1, 0]))
    run(case)
    run(case, temperature=0.3)
    assert len(given) == 1
    run(case, templates=("{}",))
    assert len(given) == 2
    run(made(text, test=(FOUR, [0, 1, 1, 0])))
    assert len(given) == 3


def test_many_texts_report_their_progress(caplog, monkeypatch):
    from eyechart import progress

    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with caplog.at_level(logging.INFO, "eyechart"):
        run(cats())
    assert "toy, texts: 2 of 2 texts" in caplog.text


# --- against open_clip itself ---

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}


@pytest.fixture
def clip(monkeypatch):
    """The smallest network of both towers, with random weights."""
    config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
    monkeypatch.setitem(library.factory._MODEL_CONFIGS, "tiny", config)
    return open_clip("tiny", pretrained=False)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("openai", OPENAI_IMAGENET_TEMPLATES), ("simple", SIMPLE_IMAGENET_TEMPLATES)]
)
def test_classifiers_are_those_of_open_clip(clip, ours, theirs):
    names = ("tench", "great white shark", "hen")
    tokenizer = library.get_tokenizer("ViT-B-32")
    expected = build_zero_shot_classifier(clip.module, tokenizer, names, theirs).numpy()
    assert np.abs(module._directions(clip, names, TEMPLATES[ours], "tiny").T - expected).max() < 1e-5
    batch = np.stack([picture(i, 32, 32) for i in range(6)])
    x, y = clip.forward(batch), np.arange(6) % 3
    ids = tuple(map(str, range(6)))
    images = Images(hashes=np.zeros((6, 32), np.uint8), load=no_pixels, labels=y, classes=names, ids=ids)
    seen = {"test": Embeddings(x=x, y=y, classes=names, ids=ids)}
    found = list(zeroshot(Case(encoder=clip, data={"test": images}, task="t", label="l", seen=seen), templates=ours))
    with torch.inference_mode():
        features = torch.nn.functional.normalize(torch.from_numpy(x), dim=1)
        logits = clip.module.logit_scale.exp() * features @ torch.from_numpy(expected)
        confidence, predicted = logits.softmax(dim=1).max(dim=1)
    assert np.allclose(one(found, "confidence").outcomes, confidence, atol=1e-5)
    assert one(found).predicted.tolist() == predicted.tolist()


def test_the_templates_are_those_that_were_published():
    assert TEMPLATES["openai"] == tuple(way("{}") for way in OPENAI_IMAGENET_TEMPLATES)
    assert TEMPLATES["simple"] == tuple(way("{}") for way in SIMPLE_IMAGENET_TEMPLATES)
    assert TEMPLATES["photo"] == ("a photo of a {}.",)


def test_the_templates_of_cifar_say_nine_things_with_either_article():
    with_a, with_the = TEMPLATES["cifar"][:9], TEMPLATES["cifar"][9:]
    assert len(set(TEMPLATES["cifar"])) == 18
    assert tuple(text.replace(" of a ", " of the ") for text in with_a) == with_the


def test_features_before_the_projection_have_no_texts(clip):
    case = cats()
    bare = Case(
        encoder=open_clip("tiny", pretrained=False, project=False), data=case.data, task="t", label="tiny on toy"
    )
    with refuses("zeroshot needs an encoder with a tower for texts", "open_clip:", "tiny on toy", "projection"):
        list(zeroshot(bare))


# --- the whole way ---


def colored(text=None, **changes):
    """An encoder of mean colors that reads one class as red and the other as blue."""
    vectors = {"a photo of a red.": (1, -1, -1), "a photo of a dark blue.": (-1, -1, 1)}
    return plain_encoder(
        dim=3,
        forward=lambda batch: mean_color(batch)[:, 3:] - np.float32(0.5),
        text=text or (lambda lines: np.array([vectors[line] for line in lines], np.float32)),
        **changes,
    )


def red_and_blue(n=12):
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    labels = np.arange(n) % 2
    pixels[np.arange(n), :, :, labels * 2] = 200 + np.arange(n, dtype=np.uint8)[:, None, None]
    return ec.from_arrays(pixels, labels, classes=("red", "dark_blue"), ids=[f"i{i}" for i in range(n)])


def test_a_run_on_images_alone_is_right(tmp_path):
    images = red_and_blue()
    done = ec.run(
        encoder=[colored()], data=[{"val": images, "test": images}], task=['zeroshot("photo")'], out=tmp_path / "out"
    )
    assert not done.failures
    assert done.leaderboards()[0].as_dicts()[0]['zeroshot(templates="photo")']["value"] == 1.0


def test_folds_read_their_texts_once(tmp_path):
    photos(tmp_path / "photos", classes=("red", "dark_blue"))
    given = []

    def text(lines):
        given.extend(lines)
        return np.array([(1, -1, -1) if "red" in line else (-1, -1, 1) for line in lines], np.float32)

    data = f"folder:{tmp_path / 'photos'}(folds=3)"
    done = ec.run(encoder=[colored(text)], data=[data], task=['zeroshot("photo")'], out=tmp_path / "out")
    assert not done.failures
    assert sorted(given) == ["a photo of a dark blue.", "a photo of a red."]
    (record,) = done.records
    assert one(record.measures, split="test").n == 20


def test_nothing_is_embedded_with_an_encoder_that_reads_no_texts(tmp_path, forwards):
    done = ec.run(encoder=[plain_encoder()], data=[{"test": toy()}], task=["zeroshot"], out=tmp_path / "out")
    (failure,) = done.failures
    assert failure.user
    assert "zeroshot needs an encoder with a tower for texts" in failure.reason
    assert not forwards


def test_an_encoder_made_of_others_reads_no_texts():
    case = cats()
    derived = Derived(parts=("pixels",), apply=lambda state, parts: parts[0])
    with refuses("zeroshot needs an encoder with a tower for texts", "encoders made of others"):
        list(zeroshot(Case(encoder=derived, data=case.data, task="t", label="pca on toy")))


def test_a_dry_run_says_what_cannot_be(tmp_path):
    asked = {"data": [{"test": toy()}], "task": ["zeroshot"], "out": tmp_path / "out"}
    (cell,) = dry_run(encoder=[plain_encoder()], **asked)
    assert cell.state == "cannot"
    assert "tower for texts" in cell.reason
    (cell,) = dry_run(encoder=[colored()], **asked)
    assert cell.state == "to embed"
    (cell,) = dry_run(encoder=[colored()], **(asked | {"task": ['zeroshot("a photo")']}))
    assert "'a photo' has no {}" in cell.reason


def test_the_content_of_a_file_is_part_of_the_identity_and_its_place_is_not(tmp_path):
    ids = []
    for name, content in (("a.txt", "one {}\n"), ("b.txt", "one {}\n"), ("c.txt", "no {}\n")):
        (tmp_path / name).write_text(content)
        ids.append(identity(bind("tasks", f'zeroshot(templates_file="{tmp_path / name}")')))
    assert ids[0] == ids[1] != ids[2]


def test_the_example_runs_offline():
    code = [sys.executable, ROOT / "examples" / "zeroshot.py"]
    done = subprocess.run(code, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": accuracy 0.") == 2


# --- templates and names ---


def written(tmp_path, content, name="words.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_templates_come_from_a_file_one_in_each_line(tmp_path):
    path = written(tmp_path, "\ufeffone {}\r\n\r\n  a {} of {} \n", "ways.txt")
    assert templates_of("simple", path, default="simple") == ("one {}", "a {} of {}")
    assert one(run(cats(vectors=TWO), templates="simple", templates_file=written(tmp_path, "one {}\n"))).n == 4


def test_a_single_text_is_a_template():
    assert bind("tasks", 'zeroshot("a sketch of a {}.")').options["templates"] == ("a sketch of a {}.",)
    assert bind("tasks", 'zeroshot("openai")').options["templates"] == "openai"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"templates": ("a photo",)}, ("'a photo' has no {}", "photo, simple, cifar, openai")),
        ({"templates": ("opnai",)}, ("'opnai' has no {}", "Did you mean openai?")),
        ({"templates": ()}, ("has no template",)),
        ({"temperature": 0.0}, ("temperature must be a finite number above 0", "got 0.0")),
        ({"temperature": math.inf}, ("temperature must be a finite number above 0",)),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with refuses(*words):
        run(cats(), **options)


def test_a_file_of_templates_that_cannot_be_is_refused(tmp_path):
    for content, words in (
        ("one {}\n\nno cat\n", ("line 3", "'no cat' has no {}")),
        ("\n \n", ("has no template",)),
        (b"\xff\xfe{}", ("no text in UTF-8",)),
    ):
        with refuses("words.csv", *words):
            run(cats(), templates="simple", templates_file=written(tmp_path, content))
    with refuses("missing.txt", "cannot be read", "a template in each line"):
        run(cats(), templates="simple", templates_file="missing.txt")
    with refuses("templates and templates_file both"):
        run(cats(), templates="photo", templates_file=written(tmp_path, "one {}"))


CODES = ("n1", "n2")
SAID = {
    "words.csv": 'name,more,class\n"cat, the pet",,n1\ndog,x,n2\nhen,,n3\n',
    "words.json": json.dumps({"n2": " dog ", "n1": "cat, the pet", "n3": "hen"}),
}


@pytest.mark.parametrize("name", SAID)
def test_a_file_says_what_classes_are_called(tmp_path, name):
    path = written(tmp_path, SAID[name], name)
    assert words_of(CODES, path, "toy") == ("cat, the pet", "dog")
    vectors = {"a photo of a cat, the pet.": (1, 0), "a photo of a dog.": (0, 1)}
    assert one(run(cats(vectors=vectors, classes=CODES), names_file=path)).predicted.tolist() == [0, 1, 0, 1]


def test_words_in_a_file_stay_as_they_are_written(tmp_path):
    assert words_of(("a_b",), written(tmp_path, "class,name\na_b,snake_case\n"), "toy") == ("snake_case",)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("class,name\nn1,cat\n", "w.csv", ("has no name for 'n2', as toy calls its classes",)),
        ("class,name\nn1,cat\nn2,\n", "w.csv", ("has no name for the class 'n2'",)),
        ("class,name\nn1,cat\nn2\n", "w.csv", ("has no name for the class 'n2'",)),
        ("class,name\nn1,cat\nn1,dog\n", "w.csv", ("names the class 'n1' twice",)),
        ("class,name\n", "w.csv", ("is empty",)),
        ("", "w.csv", ("has the columns none", "class,name")),
        ("class;name\nn1;cat\n", "w.csv", ("has the columns class;name", "class,name")),
        ("class,name\nn1,cat, the pet\n", "w.csv", ("line 2", "more cells than columns")),
        ('class,name\nn1,"cat\n', "w.csv", ("unexpected end of data",)),
        (b"class,name\nn1,caf\xe9\n", "w.csv", ("no text in UTF-8",)),
        ('{"n1": "cat", "n1": "dog"}', "w.json", ("names the class 'n1' twice",)),
        ('{"n1": "cat", "n2": " "}', "w.json", ("has no name for the class 'n2'",)),
        ('{"n1": ["cat"]}', "w.json", ("no object of texts",)),
        ('{"n1": {"name": "cat"}}', "w.json", ("no object of texts",)),
        ('["n1", "n2"]', "w.json", ("no object of texts",)),
        ("{", "w.json", ("is no JSON",)),
        ("{}", "w.json", ("is empty",)),
    ],
)
def test_a_file_of_names_that_cannot_be_is_refused(tmp_path, content, name, words):
    path = written(tmp_path, content, name)
    with refuses(name, *words):
        run(cats(classes=CODES), names_file=path)


def test_a_class_that_is_misspelt_in_a_file_of_names_is_answered_with_the_nearest(tmp_path):
    path = written(tmp_path, "class,name\npolar_baer,bear\nhot_dog,sausage\n")
    with refuses("has no name for 'polar_bear'", "Did you mean polar_baer?"):
        run(cats(classes=("polar_bear", "hot_dog")), names_file=path)


def test_a_file_of_names_that_is_not_there_is_refused():
    with refuses("missing.csv cannot be read", "class,name"):
        run(cats(), names_file="missing.csv")


def test_wordnets_numbers_are_no_words(tmp_path):
    wnids = ("n01440764", "n02102040")
    with refuses("toy", "WordNet's numbers, such as n01440764", 'names="words"', "names_file"):
        run(cats(classes=wnids))
    path = written(tmp_path, "class,name\nn01440764,cat\nn02102040,dog\n")
    assert one(run(cats(classes=wnids), names_file=path)).n == 4


def test_a_class_without_words_is_refused():
    with refuses("the class '_' has no words", "names_file"):
        run(cats(classes=("_", "dog")))


def test_one_class_is_nothing_to_tell_apart():
    with refuses("toy", "got 1 class"):
        run(cats(classes=("cat",), y=(0, 0, 0, 0)))


def test_a_data_set_without_test_is_refused():
    text, given = reads(CATS)
    with refuses("there is no split 'test'"):
        run(made(text, val=(FOUR, [0, 1, 1, 0])))
    assert not given


@pytest.mark.parametrize("row", [(0, 0), (math.nan, 1)])
def test_a_text_without_a_direction_is_refused(row):
    with refuses("toy: the embedding of the text 'a photo of a dog.' is all 0, or not finite"):
        run(cats(vectors=CATS | {"a photo of a dog.": row}))


def test_texts_of_another_width_than_images_are_refused():
    with refuses("toy: texts must have embeddings as images have, (2, 2)", "got (2, 3)"):
        run(cats(vectors=dict.fromkeys(CATS, (1, 0, 0))))
