import importlib.util
from pathlib import Path

import numpy as np
import pytest

from eyechart.datasets._classmaps import read_map, renamed, united
from eyechart.embedding.embed import embed
from eyechart.registry import bind
from samples import photos, plain_encoder, refuses, write_images


def opened(spec):
    return bind("datasets", spec).call()


@pytest.fixture
def one(tmp_path):
    return photos(tmp_path / "one", classes=("Cat", "dog", "hot dog"), n=10)


@pytest.fixture
def other(tmp_path):
    return photos(tmp_path / "other", classes=("cat", "Hot_Dog", "owl"), n=10, first_seed=100)


@pytest.fixture
def paired(one, other):
    return opened(f'pair("folder:{one}", "folder:{other}")')


def class_map(tmp_path, *lines, header="from,to,note"):
    path = tmp_path / "map.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def labeled(images):
    return [images.classes[label] for label in images.labels]


def test_it_learns_from_the_one_and_tests_on_the_other(paired, one, other):
    first, second = opened(f"folder:{one}"), opened(f"folder:{other}")
    assert list(paired) == ["train", "val", "test"]
    for split, source in (("train", first), ("val", first), ("test", second)):
        known = {content.tobytes() for content in source[split].hashes}
        assert {content.tobytes() for content in paired[split].hashes} <= known


def test_classes_are_shared_by_name_whatever_capitals_spaces_and_underscores(paired):
    assert {images.classes for images in paired.values()} == {("Cat", "hot dog")}
    assert {split: len(images) for split, images in paired.items()} == {"train": 12, "val": 4, "test": 4}


def test_every_image_keeps_its_class(paired):
    for split, folders in {"train": ("Cat", "hot dog"), "test": ("cat", "Hot_Dog")}.items():
        for name, label in zip(paired[split].ids, paired[split].labels, strict=True):
            assert name.removeprefix("test/").startswith(folders[label])


def test_images_of_other_classes_are_left_out_and_counted(one, other, caplog):
    caplog.set_level("INFO")
    opened(f'pair("folder:{one}", "folder:{other}")')
    said = [message for message in caplog.messages if message.startswith("pair:")]
    assert any("6 of 18 images in train" in line and "1 classes that are not shared" in line for line in said)
    assert any("2 of 6 images in test" in line and line.endswith(": owl") for line in said)


def test_ids_that_both_sets_have_are_told_apart(tmp_path):
    sets = [photos(tmp_path / name, n=6, first_seed=seed) for name, seed in (("one", 0), ("other", 100))]
    data = opened(f'pair("folder:{sets[0]}", "folder:{sets[1]}")')
    assert all(name.startswith("test/") for name in data["test"].ids)
    assert not any(name.startswith("test/") for name in data["train"].ids)
    assert data["test"].base.ids[0].startswith("test/")
    assert len({name for images in data.values() for name in images.ids}) == sum(map(len, data.values()))


def test_ids_that_differ_stay_as_they_are(tmp_path):
    one = write_images(tmp_path / "one", [f"{c}/one-{i}.png" for c in ("cat", "dog") for i in range(6)])
    other = write_images(tmp_path / "other", [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(6)], first_seed=50)
    data = opened(f'pair("folder:{one}", "folder:{other}")')
    assert set(data["test"].ids) == set(opened(f"folder:{other}")["test"].ids)


def test_two_sets_that_are_embedded_already_embed_nothing(one, other, paired, forwards):
    for root in (one, other):
        for images in opened(f"folder:{root}").values():
            embed(plain_encoder(), images)
    before = sum(forwards)
    assert before == 60
    for images in paired.values():
        z = embed(plain_encoder(), images)
        assert z.ids == images.ids
        assert (z.y == images.labels).all()
    assert sum(forwards) == before


def test_the_rows_are_those_of_the_set_itself(one, other, paired):
    second = opened(f"folder:{other}")["test"]
    whole = embed(plain_encoder(), second)
    z = embed(plain_encoder(), paired["test"])
    place = {name: row for row, name in enumerate(whole.ids)}
    expected = np.stack([whole.x[place[name.removeprefix("test/")]] for name in z.ids])
    assert (z.x == expected).all()


def test_alone_embeds_only_what_is_left(one, other, forwards):
    data = opened(f'pair("folder:{one}", "folder:{other}", alone=True)')
    for images in data.values():
        embed(plain_encoder(), images)
    assert sum(forwards) == sum(map(len, data.values())) == 20


def test_the_keys_of_the_splits_are_the_same_alone(one, other, paired):
    alone = opened(f'pair("folder:{one}", "folder:{other}", alone=True)')
    assert {split: images.key for split, images in alone.items()} == {split: i.key for split, i in paired.items()}


def test_alone_is_advised_where_most_of_what_is_embedded_is_of_no_use(tmp_path, caplog):
    one = photos(tmp_path / "one", classes=tuple("abcdefghi"), n=6)
    other = photos(tmp_path / "other", classes=("a", "b"), n=6, first_seed=100)
    caplog.set_level("INFO")
    opened(f'pair("folder:{one}", "folder:{other}")')
    assert "alone=True embeds only these" in caplog.text


def test_relabeled_images_keep_the_key_of_their_pixels(tmp_path):
    root = photos(tmp_path / "set" / "train", n=6)
    photos(tmp_path / "set" / "test", n=4, first_seed=60)
    data = opened(f"folder:{root.parent}")
    map_ = class_map(tmp_path, "cat,feline,", "dog,canine,")
    own = opened(f'pair("folder:{root.parent}", "folder:{root.parent}", classes="{map_}")')
    assert own["test"].pixels_key == data["test"].pixels_key
    assert own["test"].key != data["test"].key
    assert own["test"].classes == ("feline", "canine")


def test_a_set_paired_with_itself_is_the_set():
    data, own = opened("digits"), opened('pair("digits", "digits")')
    assert {split: images.key for split, images in own.items()} == {split: images.key for split, images in data.items()}


def test_a_map_says_which_class_is_which(tmp_path):
    one = photos(tmp_path / "one", classes=("n01", "n02", "n03", "n04"), n=10)
    other = photos(tmp_path / "other", classes=("bird", "cat", "dog"), n=10, first_seed=100)
    map_ = class_map(tmp_path, "n01,Cat,a cat", "n02,dog,", "n03,dog,a dog too", "n04,,no dog")
    data = opened(f'pair("folder:{one}", "folder:{other}", classes="{map_}")')
    assert data["train"].classes == ("Cat", "dog")
    told = {name.split("/")[0]: label for name, label in zip(data["train"].ids, labeled(data["train"]), strict=True)}
    assert told == {"n01": "Cat", "n02": "dog", "n03": "dog"}
    told = {name.split("/")[-2]: label for name, label in zip(data["test"].ids, labeled(data["test"]), strict=True)}
    assert told == {"cat": "Cat", "dog": "dog"}


def test_a_map_reads_both_ways(tmp_path):
    one = photos(tmp_path / "one", classes=("n01", "n02", "n03"), n=10)
    other = photos(tmp_path / "other", classes=("cat", "dog"), n=10, first_seed=100)
    map_ = class_map(tmp_path, "n01,cat", "n02,dog", "n03,dog", header="from,to")
    data = opened(f'pair("folder:{other}", "folder:{one}", classes="{map_}")')
    assert data["train"].classes == data["test"].classes == ("cat", "dog")
    assert len(data["test"]) == 6


def test_a_map_leaves_out_what_it_does_not_name_even_where_both_have_it(tmp_path):
    sets = [photos(tmp_path / name, classes=("a", "b", "c"), n=6, first_seed=s) for name, s in (("x", 0), ("y", 100))]
    map_ = class_map(tmp_path, "a,A", "b,B", header="from,to")
    assert opened(f'pair("folder:{sets[0]}", "folder:{sets[1]}", classes="{map_}")')["train"].classes == ("A", "B")


def test_splits_below_the_test_come_along(tmp_path, write_plugin):
    from eyechart import settings

    plugin = write_plugin(
        "import numpy as np\nfrom eyechart import Dataset, from_arrays\n\n"
        'def drifting(*, n: int = 8) -> Dataset:\n    """Noise."""\n    rng = np.random.default_rng(0)\n'
        "    return {name: from_arrays(rng.integers(0, 255, (n, 8, 8, 3), dtype=np.uint8), np.arange(n) % 2,\n"
        '            classes=("a", "b"), ids=[f"{name}/{i}" for i in range(n)])\n'
        '            for name in ("train", "val", "test", "test/ood", "val/ood")}\n'
    )
    with settings.using(plugins=(plugin,)):
        assert list(opened('pair("drifting", "drifting")')) == ["train", "val", "test", "test/ood"]


def test_classes_without_images_in_one_of_the_two_are_not_shared(tmp_path):
    for split, classes in (("train", "abc"), ("test", "ab")):
        photos(tmp_path / "one" / split, classes=tuple(classes), n=5, first_seed=ord(split[0]))
    other = photos(tmp_path / "other", classes=tuple("abc"), n=6, first_seed=900)
    assert opened(f'pair("folder:{other}", "folder:{tmp_path / "one"}")')["train"].classes == ("a", "b")


@pytest.mark.parametrize(
    "spec", ['pair("folder:{one}", "folder:{other}")', 'union("folder:{one}", "digits")', 'subset("folder:{one}")']
)
def test_folds_are_not_advised_where_they_are_refused(one, other, spec, caplog):
    caplog.set_level("INFO")
    opened(spec.format(one=one, other=other))
    assert not [line for line in caplog.messages if "folds=5" in line]
    opened(f"folder:{one}")
    assert [line for line in caplog.messages if "folds=5" in line]


ERRORS = [
    ('pair("folder:{one}")', ["needs two data sets", 'pair("a", "b")']),
    ('pair("folder:{one}", "folder:{far}")', ["share 0 classes", "by name", "class map", "Cat, dog", "pine"]),
    ('pair("folder:{one}", "folder:{other}", classes="nowhere.csv")', ["no class map nowhere.csv", "imagenet_cifar10"]),
    ('pair("folder:{one}(folds=2)", "folder:{other}")', ["cut into folds"]),
    ('pair("nothing", "folder:{other}")', ["no data set is called 'nothing'"]),
    ('pair("folder:{one}", "folder:{other}", classes="imagenet_food101")', ["share 1 classes", "imagenet_food101"]),
]


@pytest.mark.parametrize(("spec", "words"), ERRORS)
def test_what_cannot_be_paired_is_refused_in_one_line(tmp_path, one, other, spec, words):
    far = photos(tmp_path / "far", classes=("oak", "pine"), n=6)
    with refuses(*words):
        opened(spec.format(one=one, other=other, far=far))


def test_a_set_without_the_split_is_refused(tmp_path, one):
    photos(tmp_path / "gallery" / "query", n=4)
    photos(tmp_path / "gallery" / "gallery", n=4, first_seed=50)
    with refuses("has no test; it has gallery, query"):
        opened(f'pair("folder:{one}", "folder:{tmp_path / "gallery"}")')


MAPS = [
    (["a,x", "a,y"], "from,to", ["line 3", "'a' is named twice"]),
    (["a,x", ",y"], "from,to", ["line 3", "from is empty"]),
    (["a,x", "b,X"], "from,to", ["two classes or more"]),
    (["a,x"], "source,target", ["must have the columns from,to[,note]"]),
    ([], "", ["must have the columns from,to[,note]; it has none."]),
]


@pytest.mark.parametrize(("lines", "header", "words"), MAPS)
def test_a_map_that_is_wrong_is_refused_in_one_line(tmp_path, lines, header, words):
    path = class_map(tmp_path, *lines, header=header)
    with refuses(*words):
        read_map(str(path))


def test_names_that_differ_only_in_capitals_within_a_set_are_compared_exactly():
    assert united([("A", "a", "b"), ("a", "B")]) == [("A", "a", "b"), ("a", "B")]
    assert united([("Hot Dog", "b"), ("hot_dog",)]) == [("Hot Dog", "b"), ("Hot Dog",)]


def test_names_are_the_same_however_their_accents_are_encoded():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert united([(composed, "b"), (decomposed,)]) == [(composed, "b"), (composed,)]
    assert renamed((decomposed,), {composed: "x", "b": "y"}) == ("x",)


@pytest.mark.parametrize(
    ("classes", "names", "called"),
    [
        (("A", "a", "B"), {"A": "first", "b": "second"}, ("first", "", "")),  # letters in the set
        (("B",), {"A": "upper", "a": "lower", "b": "other"}, ("",)),  # in the map
        (("x", "b"), {"one": "X", "two": "x", "three": "B"}, ("x", "")),  # in what it maps to
        (("cat",), {"Cat": "feline", "lynx": "cat"}, ("cat",)),  # a name of `to`, exactly
    ],
)
def test_names_in_a_map_are_compared_exactly_where_capitals_make_a_difference(classes, names, called):
    assert renamed(classes, names) == called


def test_exact_names_in_a_map_go_before_similar_ones():
    assert renamed(("A", "a", "B"), {"A": "upper", "a": "lower", "b": "other"}) == ("upper", "lower", "")


CIFAR10 = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}


def wnids():
    package = importlib.util.find_spec("timm")  # importing it would take seconds
    return (Path(package.origin).parent / "data" / "_info" / "imagenet_synsets.txt").read_text().split()


def test_the_map_to_cifar10_names_synsets_of_imagenet_and_classes_of_cifar10():
    names = read_map("imagenet_cifar10")
    assert set(names) <= set(wnids())
    assert {target for target in names.values() if target} == CIFAR10 - {"deer"}


def test_the_map_to_cifar10_has_all_birds_dogs_and_domestic_cats_and_no_wild_ones():
    names, order = read_map("imagenet_cifar10"), wnids()
    of = {target: sorted(order.index(name) for name, to in names.items() if to == target) for target in CIFAR10}
    assert of["bird"] == [*range(7, 25), *range(80, 101), *range(127, 147)]
    assert of["dog"] == list(range(151, 269))
    assert of["cat"] == list(range(281, 286))
    assert of["frog"] == [30, 31, 32]
    assert of["horse"] == [339]


@pytest.mark.parametrize(
    ("target", "positions"),
    [
        ("airplane", [404, 895]),
        ("automobile", [436, 468, 511, 609, 627, 656, 661, 817]),  # wagon to sports car, the jeep among them
        ("ship", [403, 484, 510, 554, 625, 628, 724, 780, 814, 871, 914]),
        ("truck", [555, 569, 675, 864, 867]),  # big ones alone: CIFAR-10 has no pickups
    ],
)
def test_the_map_to_cifar10_has_these_vehicles(target, positions):
    order = wnids()
    assert sorted(order.index(name) for name, to in read_map("imagenet_cifar10").items() if to == target) == positions


def test_every_class_that_a_packaged_map_leaves_out_has_a_reason():
    from eyechart.datasets import _classmaps
    from eyechart.datasets._table import read_table

    for name in ("imagenet_cifar10", "imagenet_food101"):
        table = read_table(_classmaps._PACKAGED / f"{name}.csv", ("from", "to"), "")
        assert all(row["to"] or ": " in row["note"] for _, row in table.rows)
        assert set(read_map(name)) <= set(wnids())


def test_the_map_to_food101_has_six_dishes():
    dishes = {name for name in read_map("imagenet_food101").values() if name}
    assert dishes == {"guacamole", "hamburger", "hot_dog", "ice_cream", "pizza", "spaghetti_carbonara"}
