"""The conformance checks can fail: every fault that is planted here is found, by the check that is there for it."""

import random
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from eyechart import conformance, registry
from eyechart.conformance import encoders as encoder_checks
from eyechart.conformance.findings import Broken, attempt
from eyechart.conformance.isolation import offline, seeded
from eyechart.conformance.measures import check_metrics, refuse_malformed
from eyechart.errors import EyechartError, Unavailable
from eyechart.results.chance import chance
from eyechart.types import Measure

ENCODER = '''
"""A planted encoder."""
import random
import numpy as np
import torch
from eyechart import Encoder, EyechartError, Transform

def mine({signature}) -> Encoder:
    """Mean colors."""
    {before}
    def forward(batch):
        x = batch.mean(axis=(1, 2)).astype(np.float32)
        {inside}
        return x
    return Encoder(dim=3, forward=forward, {sees})
'''

DATASET = '''
"""A planted data set."""
import dataclasses
import random
import numpy as np
from eyechart import Dataset, EyechartError, from_arrays
from eyechart.images.splits import draw
from eyechart.images.views import rows

def mine(*, size: int = 8, seed: int = 0) -> Dataset:
    """Noise of two kinds."""
    rng = np.random.default_rng(7)
    labels = np.arange(40) % 2
    shades = rng.integers(0, 100, (40, size, size, 3)) + labels[:, None, None, None] * 100
    pixels = shades.astype(np.uint8)
    ids = [f"noise-{{row}}" for row in range(40)]
    images = from_arrays(pixels, labels, classes=("dark", "light"), ids=ids)
    {before}
    drawn = draw(images, {{"train": 0.5, "val": 0.25, "test": 0.25}}, seed=seed)
    data = {{split: rows(images, chosen) for split, chosen in drawn.items()}}
    {after}
    return data
'''

TASK = '''
"""A planted task."""
import dataclasses
import random
from collections.abc import Iterator
import numpy as np
import torch
from eyechart import Case, EyechartError, Measure

HEADLINE = {headline}

def mine({signature}) -> Iterator[Measure]:
    """Nearest class mean, with a shrinkage chosen on val."""
    train, val, test = case.embed("train"), case.embed("val"), case.embed("test")
    y = train.y
    {before}
    means = np.stack([train.x[y == c].mean(0) for c in range(len(train.classes))])

    def predict(z, axes):
        return ((z.x[:, None, :axes] - means[None, :, :axes]) ** 2).sum(2).argmin(1)

    def measure(z, split, axes, selected):
        guess = predict(z, axes)
        right = guess == z.y
        m = Measure(
            metric="accuracy", value=float(right.mean()), n=len(right), predicted=guess,
            facets={{"split": split, "axes": axes, "selected": selected}},
        )
        {inside}
        return m

    best = max((2, 3, 4, 5), key=lambda axes: (predict({chosen}, axes) == {chosen}.y).mean())
    for split, z in (("val", val), ("test", test)):
        for axes in (2, 3, 4, 5):
            yield measure(z, split, axes, axes == best)
'''
HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}


def encoder(*, signature="*, size: int = 8", before="pass", inside="pass", sees="transform=Transform(size=size)"):
    return ENCODER.format(signature=signature, before=before, inside=inside, sees=sees)


def dataset(*, before="pass", after="pass"):
    return DATASET.format(before=before, after=after)


def task(*, signature="case: Case", before="pass", inside="pass", chosen="val", **headline):
    stated = {name: value for name, value in (HEADLINE | headline).items() if value != "leave out"}
    return TASK.format(signature=signature, before=before, inside=inside, chosen=chosen, headline=stated)


def failed(path):
    return {finding.name: finding.detail for finding in conformance.check_plugin(path)["mine"] if not finding.passed}


@pytest.mark.parametrize("text", [encoder(), dataset(), task()], ids=["encoder", "data set", "task"])
def test_what_the_faults_are_planted_in_is_sound(write_plugin, text):
    assert failed(write_plugin(text)) == {}


FAULTY_ENCODERS = {
    "statistics of the batch": ({"inside": "x = x - x.mean(axis=0)"}, "same rows at any batch size", "batch"),
    "a little of the batch": ({"inside": "x = x + 1e-3 * x.mean()"}, "same rows at any batch size", "batch"),
    "the place in the batch": (
        {"inside": "x = x + np.arange(len(x), dtype=np.float32)[:, None]"},
        "same rows in any order",
        "place",
    ),
    "numpy's global generator": (
        {"inside": "x = x + np.random.rand(*x.shape).astype('f4')"},
        "global random state",
        "np.random",
    ),
    "Python's global generator": ({"inside": "random.random()"}, "global random state", "Python's random"),
    "torch's global generator": ({"before": "torch.rand(3)"}, "global random state", "torch"),
    "seeding the global generator": ({"before": "np.random.seed(0)"}, "global random state", "np.random"),
    "weights from the global generator": (
        {"before": "w = random.random()", "inside": "x[:, 0] *= w"},
        "repeats itself",
        "seed",
    ),
    "weights from nowhere": (
        {"before": "w = np.random.default_rng().normal()", "inside": "x[:, 0] *= w"},
        "repeats itself",
        "built again",
    ),
    "not finite": ({"inside": "x[0] = np.nan"}, "embeds", "not finite"),
    "double precision": ({"inside": "x = x.astype(float)"}, "embeds", "float32"),
    "another dimension": ({"inside": "x = x[:, :2]"}, "embeds", "(12, 3)"),
    "seeing nothing": ({"inside": "x = np.ones_like(x)"}, "embeds", "the same row"),
    "nothing to see it by": ({"sees": ""}, "embeds", "exactly one of"),
    "an exception in forward": ({"inside": "x = x[99, 99, 99]"}, "embeds", "IndexError"),
    "an exception when it is built": ({"before": "raise KeyError('no such thing')"}, "embeds", "no such thing"),
    "leaving the program": ({"before": "raise SystemExit(3)"}, "embeds", "SystemExit"),
    "a cut that needs many pixels": (
        {"sees": "preprocess=lambda image: image[:20, :20]", "inside": "assert batch.shape[1] == 20"},
        "any picture",
        "ValueError",
    ),
    "a value refused without a reason": (
        {"before": "if size != 8: raise ValueError('eight!')"},
        "keys",
        "should raise EyechartError",
    ),
}


@pytest.mark.parametrize(("planted", "check", "said"), FAULTY_ENCODERS.values(), ids=FAULTY_ENCODERS)
def test_a_faulty_encoder_is_caught(write_plugin, planted, check, said):
    found = failed(write_plugin(encoder(**planted)))
    assert check in found, found
    assert said in found[check]


def test_an_encoder_whose_key_forgets_an_option_is_caught(write_plugin, monkeypatch):
    real = encoder_checks.load_encoder
    monkeypatch.setattr(encoder_checks, "load_encoder", lambda bound: real(registry.bind("encoders", "mine")))
    found = failed(write_plugin(encoder()))
    assert list(found) == ["keys"]
    assert "mine(size=9) has the key of mine(size=8)" in found["keys"]


def test_an_encoder_that_refuses_values_in_words_is_sound(write_plugin):
    path = write_plugin(encoder(before="if size != 8: raise EyechartError('size must be 8.')"))
    keys = next(finding for finding in conformance.check_plugin(path)["mine"] if finding.name == "keys")
    assert (keys.passed, keys.detail) == (True, "refused other values of size")


def test_an_encoder_whose_weights_are_not_here_is_skipped(write_plugin):
    text = encoder(before="from eyechart.errors import Unavailable; raise Unavailable('get mine.safetensors from ...')")
    last = conformance.check_plugin(write_plugin(text))["mine"][-1]
    assert (last.passed, last.skipped, last.detail) == (True, True, "skipped: get mine.safetensors from ...")


FAULTY_DATASETS = {
    "an id twice": ({"after": "data['test'] = dataclasses.replace(data['test'], ids=('same',) * 10)"}, "ids", "unique"),
    "splits that overlap": ({"after": "data['val'] = data['train']"}, "ids", "disjoint"),
    "a label out of range": (
        {"after": "data['test'] = dataclasses.replace(data['test'], labels=data['test'].labels + 1)"},
        "labels",
        "from 1 to 2",
    ),
    "a class that train lacks": (
        {"after": "data['train'] = dataclasses.replace(data['train'], labels=data['train'].labels * 0)"},
        "labels",
        "train has none",
    ),
    "classes of the same name": (
        {"after": "data = {s: dataclasses.replace(i, classes=('a', 'a')) for s, i in data.items()}"},
        "labels",
        "same name",
    ),
    "no test": ({"after": "del data['test']"}, "opens", "there must be train and test"),
    "a split without images": (
        {"after": "data['val'] = rows(data['val'], np.arange(0))"},
        "opens",
        "val has no images",
    ),
    "other classes in test": (
        {"after": "data['test'] = dataclasses.replace(data['test'], classes=('light', 'dark'))"},
        "opens",
        "different classes",
    ),
    "no data set at all": ({"after": "data = [data]"}, "opens", "dict"),
    "hashes of half the images": (
        {"after": "object.__setattr__(data['test'], 'hashes', data['test'].hashes[:5])"},
        "hashes",
        "for 10 ids",
    ),
    "a batch in another order": (
        {"after": "data['val'] = dataclasses.replace(data['val'], batch=lambda chosen: pixels[chosen])"},
        "pixels",
        "batch(rows) of val",
    ),
    "gray pixels": (
        {"after": "data['val'] = dataclasses.replace(data['val'], load=lambda row: pixels[0][..., 0])"},
        "pixels",
        "uint8 [h, w, 3]",
    ),
    "pixels drawn at every look": (
        {
            "before": "images = dataclasses.replace(images, batch=None, load=lambda row: np.random.default_rng()"
            ".integers(0, 256, (8, 8, 3), dtype=np.uint8))"
        },
        "repeats itself",
        "other pixels",
    ),
    "splits drawn at every look": (
        {"before": "seed = int(np.random.default_rng().integers(1 << 30))"},
        "repeats itself",
        "two keys",
    ),
    "the global generator": ({"before": "random.shuffle(ids)"}, "global random state", "Python's random"),
    "splits that depend on global seeds": (
        {"before": "seed = random.randrange(1 << 30)"},
        "repeats itself",
        "two keys",
    ),
    "an option that does nothing": ({"before": "seed = 0"}, "keys", "no key changes with seed"),
    "splits that are copies": (
        {"after": "data = {s: dataclasses.replace(i, base=None, rows=None) for s, i in data.items()}"},
        "keys",
        "seed deals the same images out anew",
    ),
    "a value refused without a reason": (
        {"before": "if size != 8: raise ValueError('eight!')"},
        "keys",
        "EyechartError",
    ),
}


@pytest.mark.parametrize(("planted", "check", "said"), FAULTY_DATASETS.values(), ids=FAULTY_DATASETS)
def test_a_faulty_data_set_is_caught(write_plugin, planted, check, said):
    found = failed(write_plugin(dataset(**planted)))
    assert check in found, found
    assert said in found[check]


FAULTY_TASKS = {
    "numpy's global generator": (
        {"before": "y = y[np.random.permutation(len(y))]"},
        "global random state",
        "np.random",
    ),
    "numbers that depend on global seeds": (
        {"before": "y = np.roll(y, np.random.randint(99))"},
        "repeats itself",
        "run twice",
    ),
    "Python's global generator": ({"inside": "random.random()"}, "global random state", "Python's random"),
    "torch's global generator": ({"inside": "torch.rand(1)"}, "global random state", "torch"),
    "a generator without a seed": (
        {"before": "y = np.random.default_rng().permutation(y)"},
        "repeats itself",
        "case.rng",
    ),
    "a choice made on test": ({"chosen": "test"}, "test labels", "with other labels of test"),
    "predictions made of test labels": (
        {"inside": "m = dataclasses.replace(m, predicted=z.y)"},
        "test labels",
        "predictions of",
    ),
    "a value of val made of test labels": (
        {"inside": "m = dataclasses.replace(m, value=float((test.y[:len(z)] == z.y).mean()))"},
        "test labels",
        "the value of accuracy",
    ),
    "labels that are mixed up": ({"before": "y = np.roll(y, 1)"}, "perfect encoder", "instead of 1.0"),
    "test in train": (
        {"before": "train, y = test, test.y", "inside": "m = dataclasses.replace(m, value=1.0)"},
        "noise",
        "by chance",
    ),
    "chance that is another": ({"chance": "1 / 2"}, "noise", "by chance (1 / 2)"),
    "chance that cannot be computed": ({"chance": "1 / people"}, "noise", "names"),
    "no HEADLINE to speak of": ({"best": "leave out"}, "headline", "must state HEADLINE"),
    "a HEADLINE of no metric": ({"metric": "luck"}, "headline", "not in metrics/names.toml"),
    "a HEADLINE the wrong way round": ({"direction": "lower"}, "headline", "names.toml says 'higher'"),
    "a HEADLINE nothing matches": ({"facets": {"split": "exam"}}, "perfect encoder", "no accuracy it yields"),
    "a metric without a name": (
        {"inside": "m = dataclasses.replace(m, metric='luck')"},
        "measures",
        "not in metrics/names.toml",
    ),
    "a value out of range": (
        {"inside": "m = dataclasses.replace(m, value=100 * m.value)"},
        "measures",
        "not within its range",
    ),
    "a value that is none": (
        {"inside": "m = dataclasses.replace(m, value=float('nan'))"},
        "measures",
        "not within its range",
    ),
    "an interval elsewhere": (
        {"inside": "m = dataclasses.replace(m, low=0.0, high=0.1)"},
        "measures",
        "outside its own interval",
    ),
    "half an interval": ({"inside": "m = dataclasses.replace(m, low=0.0)"}, "measures", "one end"),
    "a measure of nothing": ({"inside": "m = dataclasses.replace(m, n=0)"}, "measures", "of 0 images"),
    "no measure": ({"inside": "m = (m.metric, m.value)"}, "measures", "a task yields Measures"),
    "an exception": ({"before": "y = y[10 ** 6]"}, "measures", "IndexError"),
}


@pytest.mark.parametrize(("planted", "check", "said"), FAULTY_TASKS.values(), ids=FAULTY_TASKS)
def test_a_faulty_task_is_caught(write_plugin, planted, check, said):
    found = failed(write_plugin(task(**planted)))
    assert check in found, found
    assert said in found[check]


def test_a_task_that_draws_from_its_own_generator_is_sound(write_plugin):
    text = task(before="case.rng('rows').permutation(len(y))")
    assert failed(write_plugin(text)) == {}


FAULTY_SIGNATURES = {
    "options by position": (encoder(signature="size: int = 8"), "signature", "by position"),
    "options in **kwargs": (encoder(signature="*, size: int = 8, **more"), "signature", "**kwargs"),
    "a list for a default": (
        encoder(signature="*, size: int = 8, parts: tuple[int, ...] = [1]"),
        "binding",
        "no lists",
    ),
    "an argument and no small case": (encoder(signature="where: str, *, size: int = 8"), "binding", "SAMPLES"),
    "no docstring": (encoder().replace('"""Mean colors."""', ""), "docstring", "eyechart list"),
    "a task without a case": (task(signature="case, *, k: int = 1"), "signature", "case: Case"),
    "a task with options by position": (task(signature="case: Case, k: int = 1"), "signature", "case: Case"),
}


@pytest.mark.parametrize(("text", "check", "said"), FAULTY_SIGNATURES.values(), ids=FAULTY_SIGNATURES)
def test_a_faulty_signature_is_caught(write_plugin, text, check, said):
    found = failed(write_plugin(text))
    assert check in found, found
    assert said in found[check]


@pytest.mark.parametrize(("name", "said"), [("pixels", "two encoders are called"), ("dinov2_b14", "friendly name")])
def test_a_name_that_is_taken_is_caught(write_plugin, name, said):
    findings = conformance.check_plugin(write_plugin(encoder().replace("def mine", f"def {name}")))[name]
    assert said in next(finding.detail for finding in findings if finding.name == "name" and not finding.passed)


def test_a_plugin_that_needs_an_argument_states_a_small_case(write_plugin):
    needy = encoder(signature="where: str, *, size: int = 8", before="if where != 'here': raise KeyError(where)")
    assert failed(write_plugin('SAMPLES = {"mine": "mine:here"}\n' + needy, "stated.py")) == {}
    findings = conformance.check_plugin(write_plugin(needy, "given.py"), samples={"mine": "mine:here"})["mine"]
    assert all(finding.passed for finding in findings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def mine(", "no Python that can be read"),
        ("x = 1", "has no plugin"),
        (encoder(signature="*, size: int = 4 + 4"), "needs a literal default"),
        (encoder(signature="*, size: int"), "needs a literal default"),
    ],
    ids=["no Python", "no plugin", "a default that is computed", "no default"],
)
def test_a_file_that_cannot_be_listed_is_one_finding(write_plugin, text, said):
    ((name, (finding,)),) = conformance.check_plugin(write_plugin(text)).items()
    assert (name, finding.passed) == ("mine.py", False)
    assert said in finding.detail


def test_a_file_that_is_not_there_is_the_users_to_mend(tmp_path):
    with pytest.raises(EyechartError, match="there is no plugin file"):
        conformance.check_plugin(tmp_path / "none.py")


def test_a_listing_that_imports_plugins_is_caught(write_plugin, monkeypatch):
    path = write_plugin(encoder())
    (entry,) = registry.plugin_entries(path)
    monkeypatch.setattr("eyechart.conformance.plugins._imported", lambda plugins: frozenset({str(path)}))
    found = {finding.name: finding for finding in conformance.check(entry)}
    assert not found["listing"].passed


def test_a_check_that_raises_is_a_finding_that_says_where():
    finding = attempt("sums", lambda: str(1 / 0))
    assert (finding.name, finding.passed) == ("sums", False)
    assert finding.detail.startswith("ZeroDivisionError: division by zero (")
    assert "test_doctor_checks.py, line" in finding.detail


def test_what_is_not_here_is_skipped_and_not_failed():
    def look():
        raise Unavailable("it is elsewhere.")

    assert attempt("look", look).skipped


def test_global_generators_are_watched_and_put_back():
    with seeded(1):
        expected = draw_from_all()
    with seeded(1):
        with seeded(5) as touched:
            assert touched() == []
            draw_from_all()
            assert len(touched()) == 3
        assert draw_from_all() == expected


def draw_from_all():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_python_functions_that_were_imported_by_name_are_watched(write_plugin):
    path = write_plugin(encoder(inside="shuffle([1, 2])").replace("import random", "from random import shuffle"))
    script = f"from eyechart import conformance; print(conformance.check_plugin({str(path)!r}))"  # without type checks
    seen = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "Python's random was drawn from" in seen


def test_nothing_is_downloaded_while_plugins_are_checked():
    before = socket.getaddrinfo
    with offline(), pytest.raises(OSError, match="no network while plugins are checked"):
        socket.create_connection(("example.org", 80))
    assert socket.getaddrinfo is before


@pytest.mark.parametrize(
    ("expression", "value"), [("1 / classes", 0.2), ("(test - 1) * 2", 398), ("-0.5 + 1", 0.5), (0.25, 0.25)]
)
def test_chance_is_arithmetic_on_sizes(expression, value):
    assert chance(expression, {"classes": 5, "test": 200}) == value


@pytest.mark.parametrize("expression", ["__import__('os')", "classes.real", "1 / 0", "2 ** 9", "people", "", "True"])
def test_chance_is_nothing_but_arithmetic(expression):
    with pytest.raises(EyechartError, match="chance"):
        chance(expression, {"classes": 5})


GOOD = {"about": "a share", "unit": "fraction", "range": [0, 1], "better": "higher"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"about": ""}, "about"),
        ({"range": [1, 0]}, "range"),
        ({"better": "bigger"}, "better"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_metric_that_is_badly_described_is_caught(change, said):
    (finding,) = check_metrics({"luck": GOOD | change})
    assert not finding.passed
    assert said in finding.detail


def test_a_metric_that_lacks_its_range_is_caught():
    (finding,) = check_metrics({"luck": {name: value for name, value in GOOD.items() if name != "range"}})
    assert not finding.passed


@pytest.mark.parametrize("facet", [np.float64(0.5), np.str_("test")])
def test_a_facet_that_json_does_not_know_is_caught(facet):
    with pytest.raises(Broken, match="facets are"):
        refuse_malformed(Measure(metric="luck", value=0.5, n=2, facets={"k": facet}), {"luck": GOOD})


def also(*stated):
    """A sound task with this beside its headline."""
    return task().replace("def mine(", f"ALSO = {stated!r}\n\ndef mine(")


AXES = {"name": "axes", "metric": "accuracy", "facets": {"split": "test", "axes": 2}}
FAULTY_ALSO = {
    "no tuple": (task().replace("def mine(", "ALSO = 'accuracy'\n\ndef mine("), "ALSO must be a tuple"),
    "a field too few": (also({"name": "axes", "metric": "accuracy"}), "ALSO must state facets, metric, name"),
    "a field too many": (also({**AXES, "best": 1.0}), "ALSO must state facets, metric, name"),
    "beside of another shape": (also({**AXES, "beside": {"metric": "accuracy"}}), "beside with the same"),
    "a metric without a name": (also({**AXES, "metric": "luck"}), "not in metrics/names.toml"),
    "one name twice": (also(AXES, AXES), "a name of its own; got axes, axes"),
    "nothing that fits": (also({**AXES, "facets": {"axes": 9}}), "it yielded none"),
    "nothing beside": (also({**AXES, "beside": {**AXES, "facets": {"axes": 9}}}), "it yielded none"),
}


@pytest.mark.parametrize(("text", "said"), FAULTY_ALSO.values(), ids=FAULTY_ALSO)
def test_what_is_badly_stated_beside_a_headline_is_caught(write_plugin, text, said):
    assert said in " ".join(failed(write_plugin(text)).values())


def test_what_is_stated_beside_a_headline_needs_outcomes(write_plugin):
    bare = also(AXES).replace("predicted=guess,", "")
    assert "no outcomes to be compared by" in failed(write_plugin(bare))["measures"]


def test_what_is_well_stated_beside_a_headline_is_said(write_plugin):
    found = conformance.check_plugin(write_plugin(also({**AXES, "beside": AXES})))["mine"]
    assert all(finding.passed for finding in found)
    assert any(finding.detail.endswith("; also axes") for finding in found)
