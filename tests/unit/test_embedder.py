"""Encoders as scikit-learn transformers: the same embeddings, each image through the network once, nothing left out."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_checks

import eyechart as ec
from eyechart import settings
from eyechart.embedding import contents
from eyechart.embedding.embed import embed
from eyechart.images import items
from eyechart.images.views import edited, from_arrays
from eyechart.types import Derived, Encoder, Transform
from samples import mean_color, output_of, photos, picture, plain_encoder, refuses

ROOT = Path(__file__).parents[2]
PIXELS = "pixels(size=4)"


def pictures(n, *, size=8, seed=0):
    return np.stack([picture([seed, i], size, size) for i in range(n)])


def expected(images, size=4):
    """What `pixels` gives, from the whole set embedded as a data set."""
    stacked = np.stack(images)
    ids = [str(i) for i in range(len(stacked))]
    data = {"all": from_arrays(stacked, np.zeros(len(stacked), np.int64), classes=("x", "y"), ids=ids)}
    return np.asarray(ec.embed(f"pixels(size={size})", data, cache_dir="another cache")["all"].x)


# What goes in


def test_every_way_to_hold_an_image_gives_the_same_row(tmp_path):
    pixels = pictures(4)
    paths = []
    for number, one in enumerate(pixels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(one).save(paths[-1])
    wanted = expected(pixels)
    embedder = ec.Embedder(PIXELS)
    for held in (
        pixels,
        list(pixels),
        paths,
        [str(path) for path in paths],
        np.array([str(path) for path in paths]),
        np.array(paths, dtype=object)[:, None],
        pandas.Series([str(path) for path in paths], index=[9, 8, 7, 6]),
        pandas.DataFrame({"image": [str(path) for path in paths]}),
        [Image.open(path) for path in paths],
        [pixels[0], str(paths[1]), Image.fromarray(pixels[2]), paths[3]],
    ):
        found = embedder.transform(held)
        assert (found.dtype, found.flags.writeable) == (np.float32, True)
        assert np.array_equal(found, wanted)


def test_gray_images_are_the_same_in_every_form(tmp_path):
    gray = pictures(3)[..., 0]
    for number, one in enumerate(gray):
        Image.fromarray(one).save(tmp_path / f"{number}.png")
    wanted = expected(np.repeat(gray[..., None], 3, axis=3))
    for held in (gray, list(gray), [Image.fromarray(one) for one in gray], sorted(tmp_path.glob("*.png"))):
        assert np.array_equal(ec.Embedder(PIXELS).transform(held), wanted)


def test_a_pillow_image_is_turned_upright_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1, 6, 10)).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        rows = ec.Embedder(PIXELS).transform([tmp_path / "turned.png", image])
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], ec.Embedder(PIXELS).transform([picture(1, 6, 10)])[0])


def test_images_of_different_sizes_are_welcome():
    mixed = [picture(0, 5, 9), picture(1, 20, 4), picture(2, 1, 1)]
    rows = ec.Embedder(PIXELS).transform(mixed)
    for row, one in zip(rows, mixed, strict=True):
        assert np.array_equal(row, expected([one])[0])


def test_rows_come_in_the_order_of_x_and_repetitions_are_repeated():
    pixels = pictures(5)
    order = [3, 0, 3, 4, 1, 0]
    wanted = expected(pixels)[order]
    assert np.array_equal(ec.Embedder(PIXELS).transform(pixels[order]), wanted)


@pytest.mark.parametrize("empty", [[], np.empty((0, 8, 8, 3), np.uint8), np.array([]), pandas.Series([], dtype=str)])
def test_no_images_give_no_rows_of_the_right_width(empty):
    assert ec.Embedder(PIXELS).transform(empty).shape == (0, 48)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("photo.png", ["put 'photo.png' into"]),
        (Path("photo.png"), ["into one"]),
        (Image.new("RGB", (4, 4)), ["into one"]),
        (picture(0), ["(8, 8, 3)", "One image", "list"]),
        (np.zeros((2, 8, 8, 4), np.uint8), ["(2, 8, 8, 4)"]),
        (np.zeros((8, 8), np.uint8), ["(8, 8)"]),
        (np.zeros((2, 8, 8, 3), np.float32), ["image 0 is float32", "uint8", "255"]),
        ([picture(0), picture(1) / 255], ["image 1 is float64", "(255 * x).round()"]),
        ([picture(0), np.zeros((8, 8, 4), np.uint8)], ["image 1 has the shape (8, 8, 4)"]),
        ([np.zeros((0, 8, 3), np.uint8)], ["image 0 has the shape (0, 8, 3)"]),
        ([np.ones((8, 8), bool)], ["image 0 is bool"]),
        ([picture(0), None], ["image 1 is NoneType", "paths, Pillow images"]),
        (7, ["int"]),
        (pandas.DataFrame({"a": ["x"], "b": ["y"]}), ["one column", "2"]),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(held, words):
    with refuses(*words):
        ec.Embedder(PIXELS).transform(held)


# Nothing is left out


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("others", [0, 3])
def test_an_image_that_cannot_be_read_is_named_each_time(tmp_path, others, store):
    root = photos(tmp_path / "photos", n=2)
    (root / "bad.png").write_bytes(b"nothing")
    mixed = [*sorted(root.glob("*/*.png"))[:others], root / "bad.png"]
    for _ in range(2):
        with refuses(str(root / "bad.png"), "cannot be read", "no image file"):
            ec.Embedder(PIXELS, store=store).transform(mixed)
    good = mixed[:-1]
    assert len(ec.Embedder(PIXELS, store=store).transform(good)) == others


def test_a_file_that_is_not_there_is_named():
    with refuses("nowhere.png", "No such file"):
        ec.Embedder(PIXELS).transform(["nowhere.png"])


def test_a_pillow_image_that_cannot_be_read_is_named(tmp_path):
    Image.fromarray(picture(0, 64, 64)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    with Image.open(tmp_path / "cut.png") as image, refuses("image 1 cannot be read"):
        ec.Embedder(PIXELS).transform([picture(1), image])
    with refuses("image 0 cannot be read", "no stated range"):
        ec.Embedder(PIXELS).transform([Image.new("F", (4, 4))])


# Each image goes through the network once


def test_a_second_transform_makes_no_forward_pass(forwards):
    pixels = pictures(7)
    first = ec.Embedder(PIXELS).transform(pixels)
    assert sum(forwards) == 7
    again = ec.Embedder(PIXELS).transform(pixels[::-1])
    assert sum(forwards) == 7
    assert np.array_equal(again, first[::-1])


def test_only_images_that_were_never_seen_are_computed(forwards):
    pixels = pictures(10)
    embedder = ec.Embedder(PIXELS)
    embedder.transform(pixels[:4])
    embedder.transform(pixels[2:6])
    assert sum(forwards) == 6
    assert np.array_equal(embedder.transform(pixels), expected(pixels))
    assert sum(forwards) == 10 + 10  # ten of `expected`, which has a cache of its own


def test_equal_images_are_computed_once(forwards):
    ec.Embedder(PIXELS).transform(pictures(3)[[0, 1, 0, 2, 1, 0]])
    assert sum(forwards) == 3


def test_a_search_over_folds_computes_each_image_once(forwards):
    pixels, labels = pictures(30), np.arange(30) % 2
    pipeline = Pipeline([("embed", ec.Embedder()), ("classify", KNeighborsClassifier(1))])
    grid = {"embed__encoder": [PIXELS, "pixels(size=2)"], "classify__n_neighbors": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=3, return_train_score=True, error_score="raise").fit(pixels, labels)
    assert sum(forwards) == 2 * 30
    assert len(search.predict(pixels[:5])) == 5
    assert sum(forwards) == 2 * 30


def test_what_a_run_embedded_is_found(forwards, tmp_path):
    root = photos(tmp_path / "photos", n=10)
    ec.run(encoder=[PIXELS], data=[str(root)], task=["knn(k=1)"], out="out")
    assert sum(forwards) == 20
    paths = sorted(root.glob("*/*.png"))
    rows = ec.Embedder(PIXELS).transform(paths[::-1])
    assert sum(forwards) == 20
    assert np.array_equal(rows, expected([np.asarray(Image.open(path)) for path in paths[::-1]]))


def test_another_encoder_finds_nothing_of_the_first(forwards):
    pixels = pictures(3)
    ec.Embedder(PIXELS).transform(pixels)
    assert np.array_equal(ec.Embedder("pixels(size=2)").transform(pixels), expected(pixels, size=2))
    assert sum(forwards) == 3 + 3 + 3


def test_one_changed_pixel_is_another_image(forwards):
    pixels = pictures(3)
    ec.Embedder(PIXELS).transform(pixels)
    pixels[1, 2, 2, 0] ^= 1
    ec.Embedder(PIXELS).transform(pixels)
    assert sum(forwards) == 4


def test_a_file_that_was_replaced_is_computed_anew(tmp_path, forwards):
    path = tmp_path / "a.png"
    Image.fromarray(picture(0)).save(path)
    first = ec.Embedder(PIXELS).transform([path])
    Image.fromarray(picture(1)).save(path)
    assert not np.array_equal(ec.Embedder(PIXELS).transform([path]), first)
    assert sum(forwards) == 2


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(picture(0)).save(path)
    real = items.hash_files

    def hashed(root, names):
        found = real(root, names)
        Image.fromarray(picture(1)).save(path)
        return found

    monkeypatch.setattr(items, "hash_files", hashed)
    with refuses(str(path), "changed while"):
        ec.Embedder(PIXELS).transform([path])


def test_changed_views_are_on_no_list():
    class Darker:
        key = "darker"

        def __call__(self, images, hashes):
            return [image // 2 for image in images]

    pixels = pictures(3)
    ids = [str(i) for i in range(3)]
    images = edited(from_arrays(pixels, np.zeros(3, np.int64), classes=("x", "y"), ids=ids), Darker())
    embed(ec.Embedder(PIXELS)._loaded(PIXELS), images)
    assert not (settings.active().cache_dir / "contents").exists()
    assert np.array_equal(ec.Embedder(PIXELS).transform(pixels), expected(pixels))


def test_another_process_finds_them_too():
    code = """
import sys
import numpy as np
import eyechart as ec
from eyechart.embedding import fill
made, real = [], fill.forward
fill.forward = lambda encoder, batch: (made.append(len(batch)), real(encoder, batch))[1]
images = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)
images[:, 0, 0, 0] = np.arange(5)
print(ec.Embedder("pixels(size=4)").transform(images[:int(sys.argv[1])]).sum().round(3), sum(made))
"""
    assert output_of(code, 4).split()[1] == "4"
    assert output_of(code, 5).split()[1] == "1"


def test_without_the_store_nothing_is_written_or_found(forwards):
    pixels = pictures(5)
    rows = ec.Embedder(PIXELS, store=False, batch_size=2).transform(pixels[[0, 1, 2, 3, 4, 0]])
    assert np.array_equal(rows, expected(pixels)[[0, 1, 2, 3, 4, 0]])
    assert forwards[:3] == [2, 2, 1]
    assert not (settings.active().cache_dir / "embeddings").exists()
    ec.Embedder(PIXELS).transform(pixels)
    ec.Embedder(PIXELS, store=False).transform(pixels)
    assert sum(forwards) == 5 * 4


def test_a_lost_list_costs_one_more_look_and_a_damaged_one_is_said(forwards):
    pixels = pictures(4)
    first = ec.Embedder(PIXELS).transform(pixels)
    (path,) = (settings.active().cache_dir / "contents").iterdir()
    path.unlink()
    assert np.array_equal(ec.Embedder(PIXELS).transform(pixels), first)
    assert sum(forwards) == 4
    contents._read.cache_clear()
    path.write_bytes(b"nothing")
    with refuses("contents", "delete that folder"):
        ec.Embedder(PIXELS).transform(pixels)
    ec.Embedder(PIXELS).transform(pixels[:2])  # other sets are found by other lists


def test_a_list_that_belongs_to_another_set_is_not_believed(forwards):
    pixels = pictures(8)
    first = ec.Embedder(PIXELS).transform(pixels[:4])
    ec.Embedder(PIXELS).transform(pixels[4:])
    one, other = (settings.active().cache_dir / "contents").iterdir()
    one.write_bytes(other.read_bytes())
    contents._read.cache_clear()
    found = contents.recall(ec.Embedder(PIXELS)._loaded(PIXELS), contents._read(other).hashes)
    assert not found.missing.any()
    with refuses("contents"):
        ec.Embedder(PIXELS).transform(pixels)
    assert len(first) == 4


def test_hashes_that_begin_alike_are_told_apart():
    listed = np.zeros((3, 32), np.uint8)
    listed[:, 31] = [1, 2, 3]
    starts = np.zeros(3, np.uint64)
    together = contents._List("", listed, starts, np.arange(3))
    wanted = np.zeros((1, 32), np.uint8)
    wanted[0, 31] = 9
    assert contents._places(together, wanted).tolist() == [-1]
    assert contents._places(together, listed[:1]).tolist() == [0]


# Encoders


def test_an_encoder_object_with_a_key_is_found_again_by_its_clones(forwards):
    pixels, labels = pictures(12), np.arange(12) % 2
    encoder = plain_encoder()
    pipeline = make_pipeline(ec.Embedder(encoder), LogisticRegression())
    assert clone(pipeline)[0].encoder is encoder
    cross_val_score(pipeline, pixels, labels, cv=3, error_score="raise")
    assert sum(forwards) == 12


def test_an_encoder_object_without_a_key_is_computed_by_each_embedder_and_that_is_said(forwards, caplog):
    encoder = plain_encoder(key="")
    embedder = ec.Embedder(encoder)
    embedder.transform(pictures(3))
    embedder.transform(pictures(3))
    assert sum(forwards) == 3
    assert caplog.text.count("has no key") == 1
    ec.Embedder(encoder).transform(pictures(3))
    assert sum(forwards) == 6


def test_a_network_is_built_once_for_fit_and_transform(monkeypatch):
    built = []

    def forward(batch):
        built.append(1)
        return mean_color(batch)

    made = Encoder(dim=6, forward=forward, transform=Transform(size=4), key="counted")
    embedder = ec.Embedder(made).fit(pictures(2))
    assert built == []  # to fit there is nothing to look at
    assert embedder.n_features_out_ == 6
    spec = "timm:test_resnet(pretrained=False)"
    ec.Embedder(spec).fit([])
    import eyechart.encoders.timm as plugin

    real, calls = plugin.timm, []
    monkeypatch.setattr(plugin, "timm", lambda *a, **k: (calls.append(a), real(*a, **k))[1])
    embedder = ec.Embedder(spec, cache_dir="fresh").fit([])
    embedder.transform(pictures(2, seed=5))
    embedder.transform(pictures(3, seed=6))
    assert len(calls) == 1


def test_encoders_made_of_others_are_joined():
    pixels = pictures(4)
    embedder = ec.Embedder('concat(parts=("pixels(size=2)", "pixels(size=4)"))').fit(pixels)
    assert embedder.n_features_out_ == 12 + 48
    lengths = [1 / np.linalg.norm(expected(pixels, size=size), axis=1, keepdims=True) for size in (2, 4)]
    wanted = np.hstack([expected(pixels, size=size) * length for size, length in zip((2, 4), lengths, strict=True)])
    np.testing.assert_allclose(embedder.transform(pixels), wanted, rtol=1e-6)
    with pytest.raises(NotFittedError):
        ec.Embedder('concat(parts=("pixels", "noise"))').transform([])


def centered():
    def apply(state, parts):
        return (parts[0] - state).astype(np.float32)

    return Derived(parts=(PIXELS,), fit=lambda parts: parts[0].mean(axis=0), apply=apply, key="centered")


def test_what_an_encoder_learns_it_learns_from_the_images_it_is_fitted_on():
    train, test = pictures(6), pictures(3, seed=1)
    embedder = ec.Embedder(centered()).fit(train)
    wanted = expected(test) - expected(train).mean(axis=0)
    np.testing.assert_allclose(embedder.transform(test), wanted, atol=1e-6)
    with pytest.raises(NotFittedError):
        ec.Embedder(centered()).transform(test)
    with refuses("must see an image", "X is empty"):
        ec.Embedder(centered()).fit([])


@pytest.mark.parametrize("encoder", [PIXELS, 'concat(parts=("pixels(size=2)", "pixels(size=4)"))', centered()])
def test_an_iterator_of_images_is_read_once(encoder):
    pixels = pictures(5)
    found = ec.Embedder(encoder).fit_transform(one for one in pixels)
    assert len(found) == 5
    assert np.array_equal(found, ec.Embedder(encoder).fit(pixels).transform(pixels))


def test_rows_that_are_looked_up_by_ids_are_refused(tmp_path):
    ec.embed(PIXELS, "digits", limit=5, out=tmp_path / "vectors")
    with refuses("found by image ids", "computes"):
        ec.Embedder(f"precomputed:{tmp_path / 'vectors'}").transform(pictures(2))


def test_settings_hold_for_the_embedder_alone(tmp_path):
    ec.Embedder(PIXELS, cache_dir=tmp_path / "mine", batch_size=2, workers=1).transform(pictures(3))
    assert (tmp_path / "mine" / "embeddings").exists()
    assert settings.active().cache_dir != tmp_path / "mine"
    with refuses("precision must be one of"):
        ec.Embedder(PIXELS, precision="fp8").fit([])
    with refuses("Did you mean pixels"):
        ec.Embedder("pixls").fit([])


# Scikit-learn's habits


def test_parameters_are_those_it_was_made_with():
    embedder = ec.Embedder(PIXELS, batch_size=3)
    assert embedder.get_params() == {
        "encoder": PIXELS,
        "device": None,
        "precision": None,
        "batch_size": 3,
        "workers": None,
        "cache_dir": None,
        "plugins": None,
        "store": True,
    }
    assert embedder.set_params(encoder="noise").encoder == "noise"
    assert clone(embedder).get_params() == embedder.get_params()
    assert repr(ec.Embedder(PIXELS)) == "Embedder(encoder='pixels(size=4)')"


def test_columns_have_names_and_may_come_as_a_table():
    embedder = ec.Embedder("pixels(size=1)").set_output(transform="pandas").fit(pictures(2))
    assert embedder.get_feature_names_out().tolist() == ["embedder0", "embedder1", "embedder2"]
    table = embedder.transform(pandas.Series(list(pictures(2)), index=["a", "b"]))
    assert list(table.columns) == ["embedder0", "embedder1", "embedder2"]
    fitted = embedder.fit_transform(pandas.Series(list(pictures(2)), index=["a", "b"]))
    assert list(fitted.index) == list(table.index)
    assert fitted.equals(table)
    with pytest.raises(NotFittedError):
        ec.Embedder(PIXELS).get_feature_names_out()


def test_a_fitted_pipeline_can_be_pickled_and_answers_the_same():
    pixels, labels = pictures(10), np.arange(10) % 2
    for spec in (PIXELS, "timm:test_resnet(pretrained=False)"):
        pipeline = make_pipeline(ec.Embedder(spec), KNeighborsClassifier(1)).fit(pixels, labels)
        again = pickle.loads(pickle.dumps(pipeline))
        assert np.array_equal(again.predict(pixels), labels)


# Those that feed a table of numbers to transform do not apply to images; the tags say so.
CHECKS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_mixin_order,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_estimators_overwrite_params,
    estimator_checks.check_dont_overwrite_parameters,
    estimator_checks.check_estimators_fit_returns_self,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_checks_of_scikit_learn_that_make_sense_for_images_pass(check):
    check("Embedder", ec.Embedder(PIXELS))


def test_wrong_parameters_are_taken_and_refused_only_when_they_are_used():
    code = """
import eyechart as ec
from sklearn.utils.estimator_checks import check_do_not_raise_errors_in_init_or_set_params as check
check("Embedder", ec.Embedder("pixels"))
try:
    ec.Embedder("pixels", precision=-1).fit([])
except ec.EyechartError as error:
    print(error)
"""
    assert "precision must be one of" in output_of(code)  # in another process: tests check the types of arguments


def test_scikit_learn_itself_knows_that_it_takes_no_table_of_numbers():
    with pytest.warns(SkipTestWarning, match="Can't test estimator Embedder"):
        done = estimator_checks.check_estimator(ec.Embedder(PIXELS), on_skip=None)
    assert {one["status"] for one in done} == {"passed"}


def test_importing_the_package_does_not_import_scikit_learn():
    assert output_of("import sys, eyechart; print('sklearn' in sys.modules)") == "False"


def test_the_example_runs_offline():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "search.py"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "embed__encoder" in done.stdout
