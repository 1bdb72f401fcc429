"""`ec.search` on planted embeddings, whose right answers are known."""

import dataclasses
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
from eyechart import settings
from eyechart.embedding import cache, gallery, indexes
from eyechart.embedding.gallery import gallery_of
from eyechart.embedding.loading import built, load_encoder
from eyechart.errors import Unavailable
from eyechart.images.views import from_arrays, rows
from eyechart.probes import approximate
from eyechart.probes.combined import Wanted, best
from eyechart.probes.kinds import DISTANCES, Distance
from eyechart.probes.knn import neighbors
from eyechart.registry import bind
from samples import mean_color, photos, picture, plain_encoder, refuses, toy, toy_data, write_images

DEGREES = [0, 10, 25, 45, 70, 100, 140, 185]


def angles(*degrees):
    """Rows of several lengths at some angles."""
    at = np.deg2rad(degrees)
    return (np.stack([np.cos(at), np.sin(at)], axis=1) * np.arange(1, len(at) + 1)[:, None]).astype(np.float32)


def store_rows(folder, x, ids):
    folder.mkdir()
    np.save(folder / "x.npy", x)
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in ids))
    return f"precomputed:{folder}"


@pytest.fixture
def around(tmp_path):
    """Eight images in a folder, and the spec of rows that stand for them at growing angles."""
    names = [f"{degrees:03d}.png" for degrees in DEGREES]
    return write_images(tmp_path / "images", names), store_rows(tmp_path / "rows", angles(*DEGREES), names)


def found(hits):
    return [hit.id for hit in hits]


def by_words(**directions):
    """An encoder of 2 x 2 colors whose texts stand for planted rows."""
    return plain_encoder(text=lambda lines: np.array([directions[line] for line in lines], np.float32))


def features(folder, names):
    """The rows of `plain_encoder`, by hand."""
    return mean_color(np.stack([np.asarray(Image.open(folder / name).resize((4, 4))) for name in names]))


def cosines(x, q):
    x, q = x.astype(float), q.astype(float)
    return x @ q / np.linalg.norm(x, axis=1) / np.linalg.norm(q)


# One query


def test_the_nearest_by_angle_come_first_with_their_cosines(around):
    root, encoder = around
    hits = ec.search(encoder, root, "045.png", k=4)
    assert found(hits) == ["025.png", "070.png", "010.png", "000.png"]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert np.allclose([hit.score for hit in hits], np.cos(np.deg2rad([20, 25, 35, 45])))


def test_another_distance_is_scored_by_its_negative(around):
    root, encoder = around
    x = angles(*DEGREES).astype(float)
    hits = ec.search(encoder, root, "045.png", k=7, distance="euclidean")
    apart = np.linalg.norm(x - x[3], axis=1)
    order = [int(i) for i in np.argsort(apart) if i != 3]
    assert found(hits) == [f"{DEGREES[i]:03d}.png" for i in order]
    assert np.allclose([hit.score for hit in hits], -apart[order])


def test_a_file_of_the_data_set_is_the_image_itself(around, caplog):
    root, encoder = around
    caplog.set_level(logging.INFO, logger="eyechart")
    by_path = ec.search(encoder, root, root / "045.png")
    assert found(by_path) == found(ec.search(encoder, root, "045.png"))
    assert by_path.copies == ("045.png",)
    assert "left out, since they are what is searched with: 045.png" in caplog.text


def test_copies_of_a_query_are_left_out_whatever_they_are_called(tmp_path):
    root = write_images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    shutil.copy(root / "b.png", root / "d.png")
    shutil.copy(root / "b.png", tmp_path / "elsewhere.png")
    hits = ec.search("pixels", root, str(tmp_path / "elsewhere.png"))
    assert set(found(hits)) == {"a.png", "c.png"}
    assert hits.copies == ("b.png", "d.png")
    assert hits.searched == 2


def test_an_image_that_is_not_in_the_data_set_is_embedded_and_nothing_of_it_is_stored(tmp_path, forwards):
    root = write_images(tmp_path / "images", [f"{i}.png" for i in range(6)])
    (query,) = write_images(tmp_path, ["query.png"], first_seed=50).glob("query.png")
    ec.search(plain_encoder(), root, "3.png")
    stored, forwards[:] = [kept.folder for kept in cache.ls()], []
    hits = ec.search(plain_encoder(), root, query)
    names = [f"{i}.png" for i in range(6)]
    scores = cosines(features(root, names), features(tmp_path, ["query.png"])[0])
    assert found(hits) == [names[i] for i in np.argsort(-scores)]
    assert np.allclose([hit.score for hit in hits], np.sort(scores)[::-1], atol=1e-6)
    assert forwards == [1]
    assert [kept.folder for kept in cache.ls()] == stored


@pytest.mark.parametrize("kind", ["array", "pillow", "list of paths"])
def test_a_query_may_be_any_kind_of_image(tmp_path, kind):
    root = write_images(tmp_path / "images", ["0.png", "1.png", "2.png"])
    pixels = np.asarray(Image.open(root / "1.png"))
    query = {"array": [pixels], "pillow": Image.fromarray(pixels), "list of paths": [root / "1.png"]}[kind]
    hits = ec.search("pixels", root, query)
    if kind == "list of paths":
        assert found(hits)[0] != "1.png"
    else:  # the same pixels, but not the same file
        assert found(hits)[0] == "1.png"
        assert hits.hits[0].score == 0
        assert hits.queries == ("image 0",)


def test_nothing_is_embedded_that_an_earlier_run_has(tmp_path, forwards):
    root = photos(tmp_path / "photos")
    ec.embed(plain_encoder(), root)
    forwards.clear()
    ec.search(plain_encoder(), root, root / "cat" / "003.png")
    assert forwards == []


def test_equally_near_images_come_in_their_order(tmp_path):
    names = [f"{i}.png" for i in range(9)]
    root = write_images(tmp_path / "images", names)
    encoder = store_rows(tmp_path / "rows", np.ones((9, 3), np.float32), names)
    hits = ec.search(encoder, root, "4.png", k=5)
    assert found(hits) == ["0.png", "1.png", "2.png", "3.png", "5.png"]
    assert {hit.score for hit in hits} == {1.0}


def test_a_gallery_of_one_image_finds_that(tmp_path):
    root = write_images(tmp_path / "images", ["only.png"])
    write_images(tmp_path, ["query.png"], first_seed=9)
    assert found(ec.search("pixels", root, tmp_path / "query.png")) == ["only.png"]


# Several queries, and words


def test_with_several_queries_the_mean_of_the_scores_counts(around):
    root, encoder = around
    hits = ec.search(encoder, root, ["000.png", "100.png"], k=6)
    rest = [d for d in DEGREES if d not in (0, 100)]
    score = {d: (np.cos(np.deg2rad(d)) + np.cos(np.deg2rad(d - 100))) / 2 for d in rest}
    assert found(hits) == [f"{d:03d}.png" for d in sorted(rest, key=lambda d: -score[d])]
    assert found(hits)[0] == "045.png"
    assert np.allclose([hit.score for hit in hits], sorted(score.values(), reverse=True))


def test_or_the_best_of_them(around):
    root, encoder = around
    hits = ec.search(encoder, root, ["000.png", "100.png"], k=3, combine="max")
    assert found(hits) == ["010.png", "025.png", "070.png"]
    assert np.allclose([hit.score for hit in hits], np.cos(np.deg2rad([10, 25, 30])))


def test_images_that_fit_words_are_found(tmp_path):
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    pixels[[0, 1, 2], ..., [0, 1, 2]] = 255
    colors = from_arrays(pixels, np.arange(3), classes=("r", "g", "b"), ids=("red", "green", "blue"))
    encoder = by_words(grass=[0, 1, 0, 0, 1, 0], sea=[0, 0, 1, 0, 0.5, 1], fire=[1, 0, 0, 1, 0, 0])
    assert found(ec.search(encoder, {"test": colors}, text="grass", k=1)) == ["green"]
    hits = ec.search(encoder, {"test": colors}, text=["sea", "fire"], k=3, combine="max")
    assert found(hits) == ["red", "blue", "green"]
    assert found(ec.search(encoder, {"test": colors}, text="sea", k=2)) == ["blue", "green"]
    assert found(ec.search(encoder, {"test": colors}, text="sea", without="grass", k=3)) == ["blue", "red", "green"]


def test_images_and_words_together_are_weighted_alike(tmp_path):
    data, words = toy(10), {"one": [1, 2, 0, 1, 0, 3], "two": [0, 1, 5, 1, 1, 1], "no": [1, 0, 1, 0, 4, 0]}
    hits = ec.search(
        by_words(**words), {"test": data}, ["toy-000", "toy-003"], text=["one"], without=["two", "no"], k=8
    )
    x = np.asarray(ec.embed(by_words(**words), {"test": data})["test"].x)
    near = np.mean([cosines(x, q) for q in (x[0], x[3], np.array(words["one"]))], axis=0)
    far = np.mean([cosines(x, np.array(words[name])) for name in ("two", "no")], axis=0)
    order = [i for i in np.argsort(-(near - far), kind="stable") if i not in (0, 3)]
    assert found(hits) == [f"toy-{i:03d}" for i in order]
    assert np.allclose([hit.score for hit in hits], (near - far)[order])
    assert (hits.texts, hits.without) == (("one",), ("two", "no"))


def test_open_clip_finds_images_by_its_own_tokens_and_towers(monkeypatch):
    import open_clip
    import torch

    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", config)
    spec, data = "open_clip:tiny(pretrained=False)", toy(6, size=32)
    hits = ec.search(spec, {"test": data}, text=["a red car", "two dogs"], without="people", device="cpu")
    network = built(load_encoder(bind("encoders", spec))).module
    with torch.inference_mode():
        words = network.encode_text(open_clip.get_tokenizer("tiny")(["a red car", "two dogs", "people"])).numpy()
    x = np.asarray(ec.embed(spec, {"test": data}, device="cpu")["test"].x)
    scores = (cosines(x, words[0]) + cosines(x, words[1])) / 2 - cosines(x, words[2])
    assert {hit.id: hit.score for hit in hits} == pytest.approx(dict(zip(data.ids, scores, strict=True)), abs=1e-5)
    assert len(hits) == 6


# The scan


@pytest.mark.parametrize("name", DISTANCES)
def test_one_query_finds_what_the_search_for_neighbors_finds(name, rng):
    x = np.round(rng.random((200, 12)) * 8).astype(np.float32) + np.float32(0.125)
    distance = Distance(name=name, bins=(12,))
    near = neighbors(x[:1] + 1, x, 25, distance=distance)
    wanted = Wanted(near=x[:1] + 1, far=x[:0], distance=distance)
    blocks = [(np.arange(start, min(200, start + 7)), x[start : start + 7]) for start in range(0, 200, 7)]
    got = best(wanted, blocks, 25)
    assert (got.rows == near.index[0]).all()
    assert (got.scores == (near.similarity[0] if name == "cosine" else -near.distance[0])).all()


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("name", ["cosine", "euclidean", "sqeuclidean", "l1"])
def test_scores_are_combined_as_plain_numpy_combines_them(name, combine, rng):
    x, near, far = (rng.standard_normal((n, 5)).astype(np.float32) for n in (40, 3, 2))
    apart = {
        "cosine": lambda q: -cosines(x, q),
        "euclidean": lambda q: np.linalg.norm(x - q, axis=1),
        "sqeuclidean": lambda q: ((x - q) ** 2).sum(axis=1),
        "l1": lambda q: np.abs(x - q).sum(axis=1),
    }[name]
    how = np.mean if combine == "mean" else np.max
    score = how([-apart(q) for q in near], axis=0) - how([-apart(q) for q in far], axis=0)
    wanted = Wanted(near=near, far=far, distance=Distance(name=name), combine=combine)
    got = best(wanted, [(np.arange(40), x)], 40)
    assert np.allclose(got.scores, score[got.rows], atol=1e-5)
    assert np.allclose(got.scores, np.sort(score)[::-1], atol=1e-5)


def test_the_size_of_blocks_makes_no_difference(around, monkeypatch):
    root, encoder = around
    whole = ec.search(encoder, root, ["000.png", "100.png"])
    monkeypatch.setattr(gallery, "_AT_ONCE", 3)
    monkeypatch.setattr(gallery.Gallery.blocks, "__defaults__", (3,))
    assert ec.search(encoder, root, ["000.png", "100.png"]).hits == whole.hits


def test_what_is_a_little_nearer_comes_first_wherever_it_lies():
    x = np.stack([np.ones(500), np.linspace(1.001, 1, 500)], axis=1).astype(np.float32)
    wanted = Wanted(near=x[:1] * 0 + 1, far=x[:0], distance=Distance())
    got = best(wanted, [(np.arange(start, start + 50), x[start : start + 50]) for start in range(0, 500, 50)], 3)
    assert got.rows.tolist() == [499, 498, 497]


def test_rows_that_are_not_finite_are_refused():
    x = np.ones((3, 2), np.float32)
    x[1, 0] = np.inf
    with refuses("row 11", "not finite"):
        best(Wanted(near=x[:1], far=x[:0], distance=Distance()), [(np.arange(10, 13), x)], 1)


def test_a_row_that_is_no_histogram_is_named_by_its_block():
    x = np.ones((3, 2), np.float32)
    x[1, 0] = -1
    with refuses("row 1 has -1", "Rows are counted from 10"):
        best(Wanted(near=x[:1], far=x[:0], distance=Distance(name="hellinger")), [(np.arange(10, 13), x)], 1)


# What is searched


def test_every_image_of_all_splits_is_searched_once(tmp_path):
    root = photos(tmp_path / "photos")
    hits = ec.search("pixels", root, root / "cat" / "000.png", k=19)
    assert len({hit.id for hit in hits}) == 19
    assert {hit.split for hit in hits} == {"train", "val", "test"}
    ids = {split: z.ids for split, z in ec.embed("pixels", root).items()}
    assert all(hit.id in ids[hit.split] for hit in hits)


def test_folds_hold_every_image_once(tmp_path):
    root = photos(tmp_path / "photos")
    hits = ec.search("pixels", f"folder:{root}(folds=3, repeats=2)", "cat/000.png", k=19)
    assert len({hit.id for hit in hits}) == 19
    limited = ec.search("pixels", f"folder:{root}(folds=3)", "cat/000.png", limit=10)
    assert limited.searched + len(limited.copies) == 10


def test_an_image_in_two_sets_is_searched_once():
    whole, again = toy(6), toy(6)
    other = dataclasses.replace(again, ids=tuple(f"other-{name}" for name in again.ids))
    assert ec.search("pixels", {"train": whole, "test": again}, "toy-000").searched == 5
    hits = ec.search("pixels", {"train": whole, "test": other}, "toy-000")
    assert hits.searched == 10
    assert hits.copies == ("toy-000", "other-toy-000")


def test_what_is_shown_is_what_the_split_says_of_its_images():
    whole = toy(8)
    renamed = dataclasses.replace(rows(whole, np.arange(8)[::-1]), classes=("x", "y"))
    hits = ec.search("pixels", {"test": renamed}, "toy-000", k=7)
    assert {hit.id: hit.label for hit in hits} == {f"toy-{i:03d}": "xy"[i % 2] for i in range(1, 8)}
    assert all(hit.right == (hit.label == "x") for hit in hits)


def test_the_row_of_a_stored_query_is_that_of_its_id(tmp_path):
    root = write_images(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png"])
    shutil.copy(root / "a.png", root / "b.png")
    encoder = store_rows(tmp_path / "rows", angles(0, 90, 80, 10), ["a.png", "b.png", "c.png", "d.png"])
    assert found(ec.search(encoder, root, "b.png")) == ["c.png", "d.png"]
    assert found(ec.search(encoder, root, "a.png")) == ["d.png", "c.png"]


def test_one_split_is_searched_alone_also_for_an_image_of_another(tmp_path):
    data = toy_data()
    hits = ec.search("pixels", data, "test-004", split="train")
    assert len(hits) == 10
    assert hits.searched == 12
    assert {hit.split for hit in hits} == {"train"}
    whole = toy(12)
    parts = {"train": rows(whole, np.arange(0, 12, 2)), "test": rows(whole, np.arange(1, 12, 2))}
    hits = ec.search("pixels", parts, "toy-004", split="test")
    assert sorted(found(hits)) == [f"toy-{i:03d}" for i in range(1, 12, 2)]


def test_splits_drawn_from_one_set_are_searched_where_they_are_stored(tmp_path):
    root = photos(tmp_path / "photos")
    with settings.using():
        data = bind("datasets", str(root)).call()
        for split in (None, "val"):
            made = gallery_of(load_encoder(bind("encoders", "pixels")), data, split, "it", {})
            (part,) = made.parts
            assert isinstance(part.x, np.memmap)
            assert len(part.x) == 20
            assert made.searched.sum() == len(data[split]) if split else made.searched.all()


def test_a_limit_is_one_of_each_split():
    assert ec.search("pixels", toy_data(), "train-000", limit=4).searched == 11


def test_images_that_cannot_be_read_are_named_and_not_searched(tmp_path, caplog):
    root = write_images(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png"])
    (root / "b.png").write_text("no image")
    hits = ec.search("pixels", root, "c.png")
    assert set(found(hits)) == {"a.png", "d.png"}
    assert hits.left_out == {"test": {"b.png": "this is no image file that can be read"}}
    assert "left out b.png of test: this is no image file that can be read" in caplog.text


@pytest.mark.parametrize(
    ("files", "read_as"),
    [
        (["1.png", "2.png", "3.png"], "instances"),
        (["1.png", "a/2.png", "b/3.png"], "instances"),
        (["a/1.png", "a/2.png", "a/b/3.png"], "instances"),
        ([f"{c}/{i}.png" for c in "ab" for i in range(5)], "folder"),
        ([f"{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in range(3)], "folder"),
        ([f"train/{c}/{i}.png" for c in "ab" for i in range(9)], "folder"),
    ],
)
def test_a_path_is_read_with_classes_where_it_has_some_and_that_is_said(tmp_path, caplog, files, read_as):
    caplog.set_level(logging.INFO, logger="eyechart")
    root = write_images(tmp_path / "images", files)
    for data in (root, str(root)):
        hits = ec.search("pixels", data, root / files[0])
        assert hits.searched == len(files) - 1
        assert hits.data == f"{read_as}:{root}"
        assert f"{root} is read as {read_as}:{root}" in caplog.text


def test_a_folder_that_cannot_be_read_with_classes_says_how_to_read_it_without(tmp_path):
    root = write_images(tmp_path / "images", ["train/1.png", "test/2.png"])
    with refuses("is in no folder that names its class", f"--data instances:{root}"):
        ec.search("pixels", root, root / "train" / "1.png")
    assert found(ec.search("pixels", f"instances:{root}", root / "train" / "1.png")) == ["test/2.png"]


def test_a_derived_encoder_embeds_a_query_with_what_it_learned(tmp_path):
    root = photos(tmp_path / "photos", n=8)
    (tmp_path / "elsewhere").mkdir()
    spec = 'whiten("pixels(size=2)", dims=4)'
    z = ec.embed(spec, root)
    x = {name: row for part in z.values() for name, row in zip(part.ids, part.x, strict=True)}
    image = Image.open(root / "dog" / "005.png")
    hits = ec.search(spec, root, image)  # the pixels, without the file: not found in the data set
    assert found(hits)[0] == "dog/005.png"
    scores = cosines(np.stack([x[name] for name in found(hits)]), x["dog/005.png"])
    assert np.allclose([hit.score for hit in hits], scores, atol=1e-5)


def test_the_example_of_the_documentation_runs():
    example = Path(__file__).parents[2] / "examples" / "similar.py"
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "are sevens; see runs/example-similar.png" in done.stdout
    assert Path("runs/example-similar.png").stat().st_size > 1000


# Right and wrong


def test_a_hit_is_right_where_it_has_the_class_of_the_query(tmp_path):
    root = photos(tmp_path / "photos")
    hits = ec.search("pixels", root, root / "cat" / "000.png", k=19)
    assert all(hit.right == (hit.label == "cat") for hit in hits)
    assert {hit.label for hit in hits} == {"cat", "dog"}


def test_the_only_image_of_its_class_has_no_right_hit():
    one = dataclasses.replace(toy(5), labels=np.array([0, 1, 1, 1, 1]))
    assert [hit.right for hit in ec.search("pixels", {"test": one}, "toy-000")] == [False] * 4


def test_nothing_is_right_or_wrong_where_a_class_is_not_known(tmp_path):
    root = photos(tmp_path / "photos")
    write_images(tmp_path, ["query.png"], first_seed=70)
    both = [root / "cat" / "000.png", tmp_path / "query.png"]
    assert {hit.right for hit in ec.search("pixels", root, both)} == {None}
    flat = ec.search("pixels", f"instances:{root}", root / "cat" / "000.png")
    assert {(hit.right, hit.label) for hit in flat} == {(None, "")}
    texts = ec.search(by_words(cat=[1, 0, 0, 0, 0, 0]), root, root / "cat" / "000.png", text="cat")
    assert {hit.right for hit in texts} == {None}
    assert {hit.label for hit in texts} <= {"cat", "dog"}


# What is refused


@pytest.mark.parametrize("k", [0, -1, 8, True])
def test_k_is_between_one_and_what_is_searched(around, k):
    root, encoder = around
    with refuses("k must be between 1 and the", "images that are searched", f"got {k!r}") as caught:
        ec.search(encoder, root, "000.png", k=k)
    assert ("the 7 images" if k == 8 else "the 8 images") in str(caught.value)


def test_k_beyond_all_images_is_refused_before_they_are_embedded(forwards):
    with refuses("k must be between 1 and the 12 images"):
        ec.search(plain_encoder(), {"test": toy(12)}, "toy-000", k=13)
    assert forwards == []


def test_without_k_there_are_ten_hits_or_all():
    assert len(ec.search("pixels", {"test": toy(30)}, "toy-000")) == 10
    assert len(ec.search("pixels", {"test": toy(6)}, "toy-000")) == 5


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, ["nothing to search for", "--text"]),
        ({"without": "people"}, ["nothing to search for"]),
        ({"query": "nowhere.png"}, ["there is no file nowhere.png", "no image called so", "--text"]),
        ({"query": "."}, ["is a folder"]),
        ({"query": 5}, ["images come in a list"]),
        ({"query": "toy-000", "split": "train"}, ["no split 'train'", "it has test"]),
        ({"query": "toy-000", "combine": "min"}, ["combine must be one of mean, max", "'min'"]),
        ({"query": "toy-000", "distance": "angle"}, ["distance must be one of", "'angle'"]),
        ({"query": "toy-000", "index": "lsh"}, ["index must be exact or one of flat, ivf, hnsw, pq", "'lsh'"]),
        ({"query": "toy-000", "limit": 0}, ["limit must be at least 1"]),
        ({"query": "toy-000", "sheet": "found.jpg"}, ["a sheet is a PNG file", "found.jpg"]),
        ({"text": "a cat"}, ["pixels embeds images only", "text tower"]),
    ],
)
def test_what_cannot_be_searched_for_is_one_line(asked, words):
    with refuses(*words):
        ec.search("pixels", {"test": toy(5)}, **asked)


def test_a_query_that_is_no_image_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    with refuses("notes.txt cannot be read", "no image file"):
        ec.search("pixels", {"test": toy(5)}, tmp_path / "notes.txt")


@pytest.mark.parametrize("data", [{}, {"test": rows(toy(3), np.arange(0))}])
def test_an_empty_gallery_is_one_line(data):
    with refuses("there are no images"):
        ec.search("pixels", data, picture(0)[None])


def test_a_folder_without_images_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with refuses("holds no images"):
        ec.search("pixels", tmp_path / "empty", "a.png")


def test_a_gallery_of_nothing_but_copies_is_one_line(tmp_path):
    root = write_images(tmp_path / "images", ["a.png"])
    shutil.copy(root / "a.png", root / "b.png")
    with refuses("all images are copies of a query"):
        ec.search("pixels", root, root / "a.png")


def test_words_are_compared_by_the_cosine_alone():
    with refuses("words and images are compared by cosine, not by euclidean"):
        ec.search(by_words(a=[1] * 6), {"test": toy(5)}, text="a", distance="euclidean")
    with refuses("a text to search for is empty"):
        ec.search(by_words(a=[1] * 6), {"test": toy(5)}, text=["a", " "])


def test_negative_features_are_no_histograms(around):
    root, encoder = around
    with refuses("chi-square is a distance of histograms", "negative"):
        ec.search(encoder, root, "000.png", distance="chi-square")


def test_stored_rows_say_nothing_of_an_image_from_elsewhere(around, tmp_path):
    root, encoder = around
    write_images(tmp_path, ["query.png"], first_seed=70)
    with refuses("query.png is no image of the data set", "only stored embeddings"):
        ec.search(encoder, root, tmp_path / "query.png")


def test_an_encoder_that_learns_needs_something_to_learn_from(tmp_path):
    root = write_images(tmp_path / "images", [f"{i}.png" for i in range(9)])
    with refuses("train"):
        ec.search('whiten("pixels(size=2)", dims=2)', root, "0.png")


# Indexes


@pytest.fixture
def many(tmp_path, monkeypatch):
    """400 images in memory, and an encoder that gives planted rows for them."""
    pytest.importorskip("faiss", reason="the extra faiss is not installed")
    monkeypatch.setattr(indexes, "_QUERIES", 20)
    images = toy(400)
    x = np.random.default_rng(3).standard_normal((400, 16)).astype(np.float32)
    return {"test": images}, store_rows(tmp_path / "many", x, images.ids), x


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw", "pq"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_index_finds_what_the_exact_search_finds(many, kind, distance):
    data, encoder, _ = many
    exact = ec.search(encoder, data, "toy-005", distance=distance)
    hits = ec.search(encoder, data, "toy-005", distance=distance, index=kind)
    assert hits.recall is not None
    assert hits.recall >= (1 if kind == "flat" else 0.9)
    assert len(set(found(hits)) & set(found(exact))) >= (10 if kind == "flat" else 8)
    by_id = {hit.id: hit.score for hit in ec.search(encoder, data, "toy-005", distance=distance, k=399)}
    assert all(hit.score == by_id[hit.id] for hit in hits)


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_index_proposes_for_several_queries(many, combine, distance):
    data, encoder, _ = many
    asked = {"combine": combine, "distance": distance, "k": 5}
    exact = ec.search(encoder, data, ["toy-005", "toy-017"], **asked)
    hits = ec.search(encoder, data, ["toy-005", "toy-017"], index="flat", **asked)
    if (combine, distance) != ("mean", "euclidean"):  # of which no index knows the order
        assert hits.hits == exact.hits
    assert len(hits) == 5


def test_an_index_of_cosines_knows_no_lengths_and_what_is_not_wanted(many, tmp_path, monkeypatch):
    data, _, x = many
    monkeypatch.setattr(indexes, "_SPARE", 1)
    encoder = store_rows(tmp_path / "long", x * np.arange(1, 401, dtype=np.float32)[:, None], data["test"].ids)
    assert ec.search(encoder, data, "toy-399", index="flat").hits == ec.search(encoder, data, "toy-399").hits
    words = {"this": [9, 1, 1, 3, 0, 2], "that": [0, 3, 0, 0, 0, 7], "no": [5, 0, 0, 9, 0, 0]}
    asked = {"text": ["this", "that"], "without": "no", "k": 5}
    exact = ec.search(by_words(**words), data, **asked)
    assert ec.search(by_words(**words), data, index="flat", **asked).hits == exact.hits


def test_an_index_is_built_once(many, monkeypatch):
    data, encoder, _ = many
    first = ec.search(encoder, data, "toy-005", index="ivf")
    monkeypatch.setattr(approximate, "built", None)
    monkeypatch.setattr(indexes, "_measured", None)
    again = ec.search(encoder, data, "toy-005", index="ivf")
    assert again.hits == first.hits
    assert again.recall == first.recall


def test_an_index_belongs_to_its_images_encoder_and_distance(many, tmp_path):
    data, encoder, x = many
    other = store_rows(tmp_path / "other", x + 1, data["test"].ids)
    half = {"test": rows(data["test"], np.arange(200))}
    for spec, images, distance in (
        (encoder, data, "cosine"),
        (encoder, data, "euclidean"),
        (encoder, half, "cosine"),
        (other, data, "cosine"),
    ):
        ec.search(spec, images, "toy-005", distance=distance, index="flat")
    with settings.using() as now:
        assert len(indexes.files(now.cache_dir)) == 4
    renamed = {"test": dataclasses.replace(data["test"], ids=data["test"].ids[::-1])}  # whose rows are others
    hits = ec.search(encoder, renamed, "toy-005", index="flat")
    assert hits.hits == ec.search(encoder, renamed, "toy-005").hits


def test_recall_is_the_share_of_true_neighbors_that_are_proposed(many, monkeypatch):
    data, encoder, x = many
    every = approximate.proposed

    def halved(index, distance, queries, most):
        """Only the rows with even numbers."""
        rows = every(index, distance, queries, most)
        return np.where(rows % 2 == 0, rows, -1)

    monkeypatch.setattr(approximate, "proposed", halved)
    monkeypatch.setattr(indexes, "_SPARE", 400)
    hits = ec.search(encoder, data, "toy-005", index="flat", k=10)
    assert all(int(hit.id[-3:]) % 2 == 0 for hit in hits)
    asked = np.sort(np.random.default_rng(1).permutation(400)[:20])
    unit = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    cosine = unit[asked] @ unit.T
    cosine[np.arange(20), asked] = -9
    true = np.argsort(-cosine, axis=1)[:, :10]
    assert hits.recall == pytest.approx((true % 2 == 0).mean())


def test_recall_counts_equally_near_images_alike(tmp_path):
    pytest.importorskip("faiss", reason="the extra faiss is not installed")
    images = toy(300)
    encoder = store_rows(tmp_path / "same", np.ones((300, 4), np.float32), images.ids)
    assert ec.search(encoder, {"test": images}, "toy-005", index="ivf").recall == 1


def test_one_image_has_no_recall(tmp_path):
    pytest.importorskip("faiss", reason="the extra faiss is not installed")
    root = write_images(tmp_path / "images", ["a.png"])
    write_images(tmp_path, ["query.png"], first_seed=9)
    hits = ec.search("pixels", root, tmp_path / "query.png", index="flat")
    assert (len(hits), hits.recall) == (1, None)


def test_only_the_split_that_is_asked_for_is_in_the_index(many):
    data, encoder, _ = many
    parts = {"train": rows(data["test"], np.arange(0, 400, 2)), "test": rows(data["test"], np.arange(1, 400, 2))}
    for of in (encoder, plain_encoder()):  # found by id, and stored together
        for split in parts:
            hits = ec.search(of, parts, "toy-005", split=split, index="hnsw", k=50)
            assert all(int(hit.id[-3:]) % 2 == (split == "test") for hit in hits)
            assert hits.hits[:5] == ec.search(of, parts, "toy-005", split=split, k=5).hits
    with settings.using() as now:
        assert len(indexes.files(now.cache_dir)) == 4


def test_what_no_later_search_can_find_is_not_kept(many):
    data, _, _ = many
    assert len(ec.search(plain_encoder(key=""), data, "toy-005", index="flat")) == 10
    with settings.using() as now:
        assert indexes.files(now.cache_dir) == []


def test_indexes_are_listed_and_go_when_they_are_not_used(many):
    data, encoder, _ = many
    ec.search(encoder, data, "toy-005", index="flat")
    (kept,) = (one for one in cache.ls() if one.state == "index")
    assert (kept.images, kept.size) == (400, kept.folder.stat().st_size)
    assert list(cache.verify()) == []
    assert cache.gc() == []
    cache.gc(unused_days=0.0)
    assert list(kept.folder.parent.iterdir()) == []


def test_a_damaged_index_is_one_line(many):
    data, encoder, _ = many
    ec.search(encoder, data, "toy-005", index="flat")
    (kept,) = (one for one in cache.ls() if one.state == "index")
    content = kept.folder.read_bytes()
    kept.folder.write_bytes(b"x" * len(content))
    with refuses(f"{kept.folder} is damaged", "Delete"):
        ec.search(encoder, data, "toy-005", index="flat")
    kept.folder.write_bytes(content[:-5])
    with refuses("is not what", "Delete"):
        ec.search(encoder, data, "toy-005", index="flat")
    assert [one.state for one in cache.ls() if one.folder == kept.folder] == ["damaged"]


def test_a_missing_faiss_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(Unavailable, match=r"pip install 'eyechart\[faiss\]'"):
        ec.search("pixels", {"test": toy(5)}, "toy-000", index="flat")


def test_an_index_knows_two_distances_and_needs_enough_images(many):
    data, encoder, _ = many
    with refuses("an index compares by cosine or euclidean, not by l1"):
        ec.search(encoder, data, "toy-005", index="flat", distance="l1")
    with refuses("an index pq learns from 256 images at least, and 20 are searched"):
        ec.search(encoder, data, "toy-005", index="pq", limit=20)


def test_a_sheet_that_cannot_be_written_stops_before_anything_is_searched(tmp_path, forwards):
    write_images(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    (tmp_path / "file").write_text("")
    with refuses("cannot write"):
        ec.search("pixels", tmp_path / "pictures", tmp_path / "pictures/a.png", sheet=tmp_path / "file" / "sheet.png")
    assert not forwards
