"""What `ec.audit` finds in folders with planted faults."""

import csv
import dataclasses
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.datasets.folder import folder
from eyechart.embedding.copies import Copies, find
from eyechart.hygiene import auditing, leaks, suspicion
from eyechart.hygiene.findings import Audit, Place, Same, Sizes
from eyechart.hygiene.fixes import COLUMNS, rows
from eyechart.images import views
from eyechart.images.duplicates import Link
from eyechart.results.leaderboard import headline
from photographs import COPIES, photograph
from samples import encoded, plain_encoder, refuses, toy, toy_data

PER_CLASS = {"train": 12, "val": 4, "test": 6}
TINTS = {"ant": (40, 0, 0), "bee": (0, 40, 0), "cow": (0, 0, 40)}


def tinted(seed, label):
    """A photograph whose colors tell its class."""
    image = photograph(seed, 64, 80).astype(int) * 3 // 4 + np.array(TINTS[label])
    return image.clip(0, 255).astype(np.uint8)


def write(root, name, pixels):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, "JPEG" if path.suffix == ".jpg" else "PNG"))


def seed_of(split, label, number):
    return 1000 * list(PER_CLASS).index(split) + 100 * list(TINTS).index(label) + number


@pytest.fixture
def clean(tmp_path):
    """A folder without faults."""
    return clean_in(tmp_path / "photos")


def clean_in(root):
    for split, count in PER_CLASS.items():
        for label in TINTS:
            for number in range(count):
                write(root, f"{split}/{label}/{number}.png", tinted(seed_of(split, label, number), label))
    return root


def planted(root):
    """Plant one fault of each kind."""
    write(root, "test/ant/leak.png", tinted(seed_of("train", "ant", 3), "ant"))  # pixel for pixel in train
    write(root, "val/bee/near.jpg", COPIES["a tenth cut off the left"](tinted(seed_of("train", "bee", 5), "bee")))
    write(root, "test/cow/mirror.png", COPIES["mirrored"](tinted(seed_of("train", "cow", 1), "cow")))
    write(root, "train/cow/again.png", tinted(seed_of("train", "cow", 2), "cow"))
    write(root, "train/bee/conflict.png", tinted(seed_of("train", "ant", 7), "ant"))
    write(root, "train/ant/wrong.png", tinted(777, "cow"))
    (root / "train/ant/broken.png").write_bytes(b"no image")
    write(root, "test/bee/tiny.png", tinted(888, "bee")[::13, ::13])
    write(root, "test/bee/strip.png", tinted(889, "bee")[:16])
    return root


@pytest.fixture
def faulty(clean):
    return planted(clean)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """One audit of a faulty folder, for the tests that only look at what it gave: folder, audit, fixes."""
    root = planted(clean_in(tmp_path_factory.mktemp("seen") / "photos"))
    fixes = root.parent / "fixes.csv"
    return root, ec.audit(str(root), write=fixes, cache_dir=root.parent / "cache"), fixes


def names(same):
    return frozenset(place.id for place in same.images)


def test_nothing_is_found_where_nothing_is_wrong(clean):
    found = ec.audit(str(clean))
    assert (found.same, found.unreadable, found.sizes.odd, found.hints, found.skipped) == ((), (), (), (), {})
    assert [(split.name, split.images) for split in found.splits] == [("train", 36), ("val", 12), ("test", 18)]
    assert all(score.clean == score.every for score in found.scores)


def test_copies_are_found_and_told_apart(seen):
    _, found, _ = seen
    assert {names(same) for same in found.exact} == {
        frozenset({"train/ant/3.png", "test/ant/leak.png"}),
        frozenset({"train/cow/2.png", "train/cow/again.png"}),
        frozenset({"train/ant/7.png", "train/bee/conflict.png"}),
    }
    assert {names(same) for same in found.near} == {
        frozenset({"train/bee/5.png", "val/bee/near.jpg"}),
        frozenset({"train/cow/1.png", "test/cow/mirror.png"}),
    }
    assert [same.conflict for same in found.same] == [True, False, False, False, False]
    assert [same.leak for same in found.same] == [False, True, True, True, False]
    assert {names(same) for same in found.same if same.mirrored} == {
        frozenset({"train/cow/1.png", "test/cow/mirror.png"})
    }
    assert all(same.agreement == 1 for same in found.exact)
    assert all(0.88 <= same.agreement < 1 for same in found.near)


def test_unreadable_and_odd_images_are_named_with_the_reason(seen):
    _, found, _ = seen
    assert [(left.image.id, left.reason) for left in found.unreadable] == [
        ("train/ant/broken.png", "this is no image file that can be read")
    ]
    assert [(odd.image.id, odd.width, odd.height, odd.problem) for odd in found.sizes.odd] == [
        ("test/bee/tiny.png", 7, 5, "tiny"),
        ("test/bee/strip.png", 80, 16, "5.0 times as long as wide"),
    ]
    assert found.sizes.height == (5, 64.0, 64)
    assert found.sizes.width[1:] == (80.0, 80)


def test_files_that_cannot_be_read_are_no_copies_of_each_other(clean):
    for name in ("train/ant/x.png", "test/bee/y.png"):
        (clean / name).write_bytes(b"the same nonsense")
    found = ec.audit(str(clean))
    assert (len(found.unreadable), found.same) == (2, ())


def test_the_agreement_is_that_of_the_weakest_link(clean):
    original = tinted(seed_of("train", "ant", 3), "ant")
    write(clean, "train/ant/good.png", COPIES["half the size"](original))
    write(clean, "train/ant/poor.jpg", COPIES["15 % cut off a corner"](original))
    (found,) = ec.audit(str(clean)).near
    links = find(list(folder(str(clean)).values())).links
    assert len(links) == 2
    assert found.agreement == min(link.agreement for link in links) < max(link.agreement for link in links)


def test_classes_are_counted(faulty):
    (faulty / "test" / "dog").mkdir()
    write(faulty, "train/dog/0.png", tinted(500, "ant"))
    train, val, test = ec.audit(str(faulty)).splits
    assert train.classes == {"ant": 14, "bee": 13, "cow": 13, "dog": 1}
    assert (train.unreadable, test.unreadable) == (1, 0)
    assert (train.missing, val.missing, test.missing) == ((), ("dog",), ("dog",))
    assert (train.ratio, test.ratio) == (14, 8 / 7)


def test_a_wrong_label_is_the_most_suspect_and_the_right_one_is_suggested(clean):
    write(clean, "train/ant/wrong.png", tinted(777, "cow"))
    found = ec.audit(str(clean))
    first = found.suspects[0]
    assert (first.image.id, first.image.label, first.suggestion) == ("train/ant/wrong.png", "ant", "cow")
    assert first.disagreeing > 0.6
    assert [one.evidence for one in found.suspects] == sorted((one.evidence for one in found.suspects), reverse=True)
    assert all(one.evidence > np.log(2) for one in found.suspects)
    assert list(found.encoders) == ["hog", "hsv_histogram", "pixels"]


def knn_accuracy(root, excluded=(), k=5):
    """k-NN on the pixels encoder, by scikit-learn."""
    from sklearn.neighbors import KNeighborsClassifier

    z = ec.embed("pixels", str(root))
    model = KNeighborsClassifier(k, algorithm="brute").fit(z["train"].x, z["train"].y)
    kept = np.array([name not in excluded for name in z["test"].ids])
    right = model.predict(z["test"].x) == z["test"].y
    return right[kept].mean(), int(kept.sum())


def test_the_score_is_given_with_and_without_leaked_test_images(seen):
    faulty, found, _ = seen
    (score,) = [score for score in found.scores if score.encoder == "pixels"]
    assert score.task == "5-NN"
    assert (score.every.value, score.every.n) == knn_accuracy(faulty)
    assert (score.clean.value, score.clean.n) == knn_accuracy(faulty, {"test/ant/leak.png", "test/cow/mirror.png"})
    assert score.clean.low <= score.clean.value <= score.clean.high


def test_a_run_is_scored_again_without_leaked_test_images(faulty, tmp_path):
    results = ec.run(encoder=["pixels", "noise"], data=[str(faulty)], task=["knn(k=1)"], out=tmp_path / "out")
    found = ec.audit(str(faulty), run=tmp_path / "out")
    stored = {score.encoder: score for score in found.scores if score.run}
    assert set(stored) == {"pixels", "noise"}
    for record in results.records:
        (headline,) = [m for m in record.measures if m.metric == "accuracy" and m.facets["split"] == "test"]
        assert stored[record.encoder].every.value == pytest.approx(headline.value)
        assert (stored[record.encoder].every.n, stored[record.encoder].clean.n) == (headline.n, headline.n - 2)
        assert stored[record.encoder].task == "knn(k=(1,))"
    clean = knn_accuracy(faulty, {"test/ant/leak.png", "test/cow/mirror.png"}, k=1)
    assert (stored["pixels"].clean.value, stored["pixels"].clean.n) == clean


def test_a_run_of_several_draws_is_scored_by_the_share_of_draws_that_are_right(faulty, tmp_path):
    results = ec.run(encoder=["pixels"], data=[str(faulty)], task=["fewshot(shots=(2,), draws=4)"], out="out")
    (score,) = [score for score in ec.audit(str(faulty), run="out").scores if score.run]
    mean = headline(results.records[0], split="test")
    assert (score.every.value, score.every.n, score.clean.n) == (pytest.approx(mean.value), mean.n, mean.n - 2)


def test_a_run_on_other_images_is_refused(clean, tmp_path):
    ec.run(encoder=["pixels"], data=["digits"], task=["knn(k=1)"], limit=30, out=tmp_path / "out")
    with refuses("holds no accuracy of these test images", "the same options"):
        ec.audit(str(clean), run=[tmp_path / "out"])
    with refuses("holds no records"):
        ec.audit(str(clean), run=tmp_path / "nothing")


def test_all_test_images_may_be_leaked(tmp_path):
    for split in ("train", "val", "test"):
        for label in TINTS:
            for number in range(4):
                write(
                    tmp_path / "photos", f"{split}/{label}/{number}.png", tinted(seed_of("train", label, number), label)
                )
    found = ec.audit(str(tmp_path / "photos"))
    assert all(score.clean is None for score in found.scores)
    assert "no image is left" in str(found)


def test_a_data_set_without_test_has_no_score(tmp_path):
    for split in ("query", "gallery"):
        for label in TINTS:
            for number in range(4):
                write(
                    tmp_path / "photos",
                    f"{split}/{label}/{number}.png",
                    tinted(seed_of("train", label, number) + 50 * len(split), label),
                )
    found = ec.audit(str(tmp_path / "photos"))
    assert found.scores == ()
    with refuses("has no split called test"):
        ec.audit(str(tmp_path / "photos"), run=tmp_path)


def test_drawn_splits_with_a_burst_are_told_of_groups(tmp_path):
    for label in TINTS:
        for number in range(8):
            write(tmp_path / "photos", f"{label}/{number}.png", tinted(seed_of("train", label, number), label))
            write(
                tmp_path / "photos", f"{label}/{number} b.jpg", tinted(seed_of("train", label, number), label)[2:, 3:]
            )
    found = ec.audit(str(tmp_path / "photos"))
    assert any(same.leak for same in found.near)
    assert any('groups="auto"' in hint for hint in found.hints)
    grouped = ec.audit(f'folder:{tmp_path / "photos"}(groups="auto")')
    assert not any(same.leak for same in grouped.same)
    assert not any("groups=" in hint for hint in grouped.hints)


def test_folds_are_splits_and_each_image_is_looked_at_once(tmp_path):
    for label in TINTS:
        for number in range(6):
            write(tmp_path / "photos", f"{label}/{number}.png", tinted(seed_of("train", label, number), label))
        write(tmp_path / "photos", f"{label}/again.jpg", tinted(seed_of("train", label, 0), label)[2:, 3:])
    found = ec.audit(f"folder:{tmp_path / 'photos'}(folds=3, repeats=2)")
    assert [(split.name, split.images) for split in found.splits] == [("fold1", 7), ("fold2", 7), ("fold3", 7)]
    assert {names(same) for same in found.near} == {
        frozenset({f"{label}/0.png", f"{label}/again.jpg"}) for label in TINTS
    }
    assert any(same.leak for same in found.near)  # or the test would prove nothing
    assert any('groups="auto"' in hint for hint in found.hints)
    grouped = ec.audit(f'folder:{tmp_path / "photos"}(folds=3, groups="auto")')
    assert len(grouped.near) == 3
    assert not any(same.leak for same in grouped.near)


@pytest.fixture
def dealt(tmp_path):
    """A folder for folds, with a copy of one picture in each class."""
    for label in TINTS:
        for number in range(8):
            write(tmp_path / "photos", f"{label}/{number}.png", tinted(seed_of("train", label, number), label))
        write(tmp_path / "photos", f"{label}/again.jpg", tinted(seed_of("train", label, 0), label)[2:, 3:])
    return tmp_path / "photos"


def leaked_in(data, folds):
    """The images that are tested in one of some folds while the other of the pair is learnt from there."""
    pairs = [{f"{label}/0.png", f"{label}/again.jpg"} for label in TINTS]
    tested = [set(data[f"fold{number}/test"].ids) for number in folds]
    return {name for pair in pairs for ids in tested if len(pair & ids) == 1 for name in pair & ids}


def test_every_fold_is_scored_with_its_own_train(dealt):
    from sklearn.neighbors import KNeighborsClassifier

    (score,) = [score for score in ec.audit(f"folder:{dealt}(folds=3)").scores if score.encoder == "pixels"]
    data, right = folder(str(dealt), folds=3), {}
    embedded = {
        name: row for z in ec.embed("pixels", str(dealt)).values() for name, row in zip(z.ids, z.x, strict=True)
    }
    for number in (1, 2, 3):
        train, test = data[f"fold{number}/train"], data[f"fold{number}/test"]
        x, queries = (np.stack([embedded[name] for name in part.ids]) for part in (train, test))
        found = KNeighborsClassifier(5, algorithm="brute").fit(x, train.labels).predict(queries)
        right |= dict(zip(test.ids, found == test.labels, strict=True))
    clean = [value for name, value in right.items() if name not in leaked_in(data, (1, 2, 3))]
    assert (score.task, score.every.n, score.every.value) == ("5-NN", 27, np.mean(list(right.values())))
    assert 21 <= len(clean) < 27  # or the test would prove nothing
    assert (score.clean.n, score.clean.value) == (len(clean), pytest.approx(np.mean(clean)))


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_run_over_folds_is_scored_again_without_images_leaked_in_any_repeat(dealt, tmp_path, repeats):
    options = {"folds": 3, "repeats": repeats}
    spec = f"folder:{dealt}({', '.join(f'{name}={value}' for name, value in options.items())})"
    results = ec.run(encoder=["pixels"], data=[spec], task=["knn(k=1)"], out=tmp_path / "out")
    (score,) = [score for score in ec.audit(spec, run=tmp_path / "out").scores if score.run]
    (pooled,) = [m for m in results.records[0].measures if m.metric == "accuracy" and m.facets["split"] == "test"]
    data = folder(str(dealt), **options)
    assert score.every.n == pooled.n == 27
    assert (score.every.value, score.every.low) == (pytest.approx(pooled.value), pytest.approx(pooled.low))
    assert score.clean.n == 27 - len(leaked_in(data, range(1, 3 * repeats + 1)))


def test_an_encoder_that_learns_needs_something_to_learn_from(tmp_path):
    for split in ("query", "gallery"):
        for label in ("ant", "bee"):
            for number in range(2):
                write(
                    tmp_path / "photos",
                    f"{split}/{label}/{number}.png",
                    tinted(seed_of("train", label, number) + 50 * len(split), label),
                )
    learner = ec.Derived(
        parts=("pixels", "hog"), fit=lambda train: train[0].mean(axis=0), apply=lambda mean, x: x[0] - mean, key="l"
    )
    with refuses("learns from train", "gallery, query"):
        ec.audit(str(tmp_path / "photos"), encoder=learner)


def test_an_unbalanced_data_set_is_hinted_at(clean):
    for number in range(100):
        write(clean, f"train/cow/more {number}.png", tinted(5000 + number, "cow"))
    assert any("balanced_accuracy" in hint for hint in ec.audit(str(clean)).hints)


def test_an_encoder_that_cannot_be_had_is_named_and_the_others_are_asked(clean, caplog):
    with caplog.at_level(logging.WARNING, "eyechart"):
        found = ec.audit(str(clean), encoder="precomputed:nowhere")
    assert list(found.skipped) == ["precomputed:nowhere"]
    assert "there is no folder nowhere" in found.skipped["precomputed:nowhere"]
    assert list(found.encoders) == ["hog", "hsv_histogram", "pixels"]
    assert "precomputed:nowhere is left out" in caplog.text
    assert "left out precomputed:nowhere" in str(found)


def test_further_encoders_are_asked_each_once(clean):
    found = ec.audit(str(clean), encoder=["pixels(size=8)", "hog", plain_encoder(key="mine")])
    assert list(found.encoders)[:4] == ["hog", "hsv_histogram", "pixels", "pixels(size=8)"]
    assert len(found.encoders) == len(found.scores) == 5


def test_an_encoder_that_sees_nothing_changes_no_suspicion(clean):
    write(clean, "train/ant/wrong.png", tinted(777, "cow"))
    write(clean, "train/bee/even.png", tinted(778, "bee"))
    write(clean, "train/cow/even.png", tinted(779, "cow"))
    blind = plain_encoder(key="blind", forward=lambda batch: np.ones((len(batch), 6), np.float32))
    assert ec.audit(str(clean), encoder=blind).suspects == ec.audit(str(clean)).suspects != ()


def test_a_misspelt_encoder_stops_at_once(clean, monkeypatch):
    monkeypatch.setattr("eyechart.hygiene.auditing.find", None)
    with refuses("hogg", "Did you mean"):
        ec.audit(str(clean), encoder="hogg")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"write": "notes.csv"}, ["notes.csv must have the columns path and action"]),
        ({"write": "notes.csv/fixes.csv"}, ["cannot write notes.csv/fixes.csv", "--write"]),
        ({"run": "nothing"}, ["nothing holds no records"]),
    ],
)
def test_what_cannot_be_written_or_scored_stops_at_once(clean, monkeypatch, asked, words):
    Path("notes.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr("eyechart.hygiene.auditing.find", None)
    with refuses(*words):
        ec.audit(str(clean), **asked)
    assert Path("notes.csv").read_text() == "a,b\n1,2\n"


def test_data_without_images_are_refused():
    with refuses("has no split"):
        ec.audit({})
    with refuses("has no image in test"):
        ec.audit({"train": toy(6), "test": views.rows(toy(6), np.arange(0))})


def test_many_pictures_with_copies_are_gone_through_once(monkeypatch):
    """Where every picture looked for its links among all of them, twice the pictures took four times as long."""
    asked = []

    class Counted(tuple):
        def __iter__(self):
            asked.append(1)
            return super().__iter__()

    n = 40
    places = [Place(id=str(row), split="train", label="a") for row in range(2 * n)]
    rows_of = np.arange(2 * n)
    copies = Copies(
        content=rows_of,
        picture=rows_of // 2,
        sizes=np.ones((2 * n, 2), np.int64),
        unreadable={},
        links=Counted(Link(2 * pair, 2 * pair + 1, 0.9 + pair / 1000, False) for pair in range(n)),
    )
    found = auditing._same(places, copies)
    assert [same.agreement for same in found] == [0.9 + pair / 1000 for pair in range(n)]
    assert len(asked) == 1


@pytest.mark.parametrize(("there", "used"), [("cuda:1", "cuda:1"), ("mps", "cpu")])
def test_neighbors_are_looked_for_where_the_probes_of_a_run_do_it(clean, monkeypatch, there, used):
    asked = []
    for module in (leaks, suspicion):

        def looked(*arguments, work, real=module.neighbors, **options):
            asked.append(work.device)
            return real(*arguments, **options)

        monkeypatch.setattr(module, "neighbors", looked)
    monkeypatch.setattr(auditing, "device", lambda: there)
    ec.audit(str(clean))
    assert len(asked) == 2 * 3
    assert set(asked) == {used}


def test_encoders_that_know_nothing_call_no_label_suspect(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):  # of noise, nearly all under one label: all neighbors say so, and know nothing
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        write(tmp_path / "photos", f"{'b' if number % 12 == 0 else 'a'}/{number}.png", pixels)
    found = ec.audit(str(tmp_path / "photos"))
    assert set(found.encoders.values()) == {55 / 60}
    assert found.suspects == ()
    assert any("more often than chance" in hint for hint in found.hints)


def test_images_in_memory_are_audited_too():
    data = toy_data(20)
    twice = dataclasses.replace(data["test"], hashes=data["test"].hashes.copy())
    found = ec.audit(data | {"test": twice})
    assert found.data.startswith("data-")
    assert [split.images for split in found.splits] == [20, 20, 20]


def test_edited_splits_are_no_leaks(tmp_path):
    from eyechart.images.views import edited

    class Same:
        key = "same"

        def __call__(self, images, hashes):
            return images

    data = toy_data(12)
    found = ec.audit(data | {"test/same/1": edited(data["test"], Same())})
    assert [split.name for split in found.splits] == ["train", "val", "test"]
    variant = ec.audit({"train": toy(12), "test": data["test"], "test/again": data["test"]})
    assert not any(same.leak for same in variant.same)


# -- fixes --------------------------------------------------------------------------------------------------------


def lines(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_fixes_name_every_fault_the_most_severe_first(seen):
    _, _, fixes = seen
    found = lines(fixes)
    assert tuple(found[0]) == COLUMNS
    kinds = [line["problem"].partition(":")[0].partition(" as ")[0] for line in found]
    order = ["same picture", "leak", "near-leak", "near-leak, mirrored", "label", "duplicate", "unreadable", "size"]
    assert set(kinds) == set(order)
    assert [order.index(kind) for kind in kinds] == sorted(order.index(kind) for kind in kinds)
    acted = {line["path"]: line["action"] for line in found if line["action"]}
    assert acted == {"train/ant/3.png": "drop", "train/cow/again.png": "drop", "train/ant/broken.png": "drop"}
    suggested = {line["path"]: line for line in found if line["problem"] != "label"}
    assert suggested["train/bee/5.png"]["suggestion"] == "drop"  # the copy in val stays
    assert suggested["train/bee/5.png"]["with"] == "val/bee/near.jpg"
    assert {suggested[name]["problem"] for name in ("train/ant/7.png", "train/bee/conflict.png")} == {
        "same picture as ant and bee"
    }
    (wrong,) = [line for line in found if line["path"] == "train/ant/wrong.png"]
    assert wrong["suggestion"] == "label=cow"


def test_a_file_as_it_was_written_can_be_applied_and_what_it_dropped_is_gone(seen):
    faulty, _, path = seen
    again = ec.audit(f'folder:{faulty}(fixes="{path}")')
    assert {names(same) for same in again.exact} == {frozenset({"train/ant/7.png", "train/bee/conflict.png"})}
    assert again.unreadable == ()
    assert sum(split.images for split in again.splits) == 66 + 9 - 3


def test_every_suggestion_can_be_an_action(seen, tmp_path):
    faulty, _, written = seen
    path = tmp_path / "fixes.csv"
    told = [line | {"action": line["suggestion"]} for line in lines(written)]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(told)
    found = ec.audit(f'folder:{faulty}(fixes="{path}")')
    assert not any(same.leak or same.conflict for same in found.same)
    assert folder(str(faulty), fixes=str(path))["train"].base is not None


def of_three(*, exact):
    """A picture twice in test and once in train."""
    images = [("train/1.png", "train"), ("test/1.png", "test"), ("test/2.png", "test")]
    places = tuple(Place(id=name, split=split, label="a") for name, split in images)
    nothing = Audit(
        data="data",
        splits=(),
        same=(Same(exact=exact, images=places, agreement=0.9),),
        suspects=(),
        unreadable=(),
        sizes=Sizes(width=(1, 1.0, 1), height=(1, 1.0, 1), odd=()),
        scores=(),
        encoders={},
        skipped={},
        hints=(),
    )
    return {row.path: (row.suggestion, row.action) for row in rows(nothing)}


def test_of_near_duplicates_those_in_other_splits_may_go_and_of_exact_ones_all_but_one():
    assert of_three(exact=False) == {"train/1.png": ("drop", "")}
    assert of_three(exact=True) == {"train/1.png": ("drop", "drop"), "test/2.png": ("drop", "drop")}


def test_what_a_person_decided_is_kept(seen, tmp_path):
    faulty, _, written = seen
    path = tmp_path / "fixes.csv"
    told = lines(written)
    for line in told:
        line["action"] = "keep" if line["path"] == "train/ant/3.png" else ""
    told.append(dict.fromkeys(COLUMNS, "") | {"path": "train/bee/1.png", "problem": "my own", "action": "drop"})
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(told)
    ec.audit(f'folder:{faulty}(fixes="{path}")', write=path)
    again = lines(path)
    assert {line["path"]: line["action"] for line in again[:2]} == {
        "train/ant/3.png": "keep",
        "train/bee/1.png": "drop",
    }
    assert [line["problem"] for line in again if line["path"] == "train/ant/3.png"] == ["leak"]
    assert {line["path"] for line in again[2:]} >= {"train/cow/again.png", "train/ant/broken.png"}
    assert not any(line["action"] for line in again[2:])  # what a person took out stays out


def test_a_file_that_is_no_list_of_fixes_is_not_overwritten(clean, tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with refuses("notes.csv must have the columns path and action"):
        ec.audit(str(clean), write=tmp_path / "notes.csv")
    assert (tmp_path / "notes.csv").read_text() == "a,b\n1,2\n"


# -- what is shown ------------------------------------------------------------------------------------------------


def test_the_summary_is_short_and_names_what_was_found(seen):
    text = str(seen[1])
    assert len(text.splitlines()) < 45
    for words in (
        "75 images in 3 classes (train 40, val 13, test 22)",
        "the same picture under several labels: 1 pictures, 2 images",
        "pixel for pixel: 1 pictures, 2 images",
        "near-duplicates in several splits: 2 pictures, 4 images",
        "exact duplicates within a split: 2 pictures",
        "1 images cannot be read",
        "train/ant/broken.png (train, ant): this is no image file that can be read",
        "mirrored)",
        "width",
        "pixels, 5-NN:",
    ):
        assert words in text, words


def test_of_many_findings_five_are_shown_and_where_the_others_are(clean):
    for number in range(8):
        write(clean, f"test/ant/leak {number}.png", tinted(seed_of("train", "ant", number), "ant"))
    text = str(ec.audit(str(clean)))
    assert text.count("/leak ") == 5
    assert "and 3 more: all of them with --json or --write FILE" in text


def test_near_duplicates_that_need_no_fix_are_all_of_them_only_in_json(clean, tmp_path):
    for number in range(8):
        again = COPIES["half the size"](tinted(seed_of("train", "ant", number), "ant"))
        write(clean, f"train/ant/again {number}.png", again)
    found = ec.audit(str(clean), write=tmp_path / "fixes.csv")
    assert "and 3 more: all of them with --json\n" in str(found)
    assert not any("again" in line["path"] for line in lines(tmp_path / "fixes.csv"))


def test_all_of_it_can_be_written_as_json(seen):
    _, found, path = seen
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(told) == {field.name for field in dataclasses.fields(found)}
    assert len(told["same"]) == 5
    assert told["same"][0]["conflict"] is True
    assert told["write"] == str(path)
    assert told["splits"][0]["classes"] == {"ant": 14, "bee": 13, "cow": 13}
    assert "75 images" in repr(found)


def test_a_second_audit_decodes_nothing(faulty, monkeypatch):
    from eyechart.images import views

    before = ec.audit(str(faulty))
    monkeypatch.setattr(views, "decode", None)
    assert ec.audit(str(faulty)) == before


def test_no_file_is_touched(faulty, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in faulty.rglob("*")}
    ec.audit(str(faulty), write=tmp_path / "fixes.csv")
    assert {path: path.stat().st_mtime_ns for path in faulty.rglob("*")} == before


def test_a_name_that_is_no_utf8_is_shown_and_written(clean, tmp_path):
    name = os.fsdecode(b"test/ant/caf\xe9.png")
    write(clean, name, tinted(seed_of("train", "ant", 3), "ant"))
    found = ec.audit(str(clean), write=tmp_path / "fixes.csv")
    assert "caf\\udce9.png" in str(found)
    assert str(found).encode()
    assert b"caf\xe9.png" in (tmp_path / "fixes.csv").read_bytes()


def test_a_class_whose_name_is_no_utf8_is_shown(clean):
    name = os.fsdecode(b"caf\xe9")
    for split, number in (("train", 3), ("train", 4), ("train", 5), ("val", 6)):  # none in test, and a suspect
        write(clean, f"{split}/{name}/{number}.png", tinted(seed_of("train", "cow", number + 50), "cow"))
    write(clean, f"train/{name}/leak.png", tinted(seed_of("train", "ant", 3), "ant"))
    found = ec.audit(str(clean))
    assert str(found).encode()
    assert "caf\\udce9" in str(found)
    assert "none of caf\\udce9" in str(found)
    renamed = dataclasses.replace(found, data=f"folder:{name}")
    assert repr(renamed).encode()
    assert str(renamed).encode()
