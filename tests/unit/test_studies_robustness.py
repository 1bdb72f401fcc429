"""The studies of robustness: what they ask for, what stands for an encoder there, and that they run to their end."""

import dataclasses
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

import eyechart as ec
from archives import cifar10_images, cifar_c_arrays, write_arrays, write_cifar10
from eyechart.cards import cards_of, group_of
from eyechart.case import Case
from eyechart.embedding.loading import load_encoder
from eyechart.errors import Unavailable
from eyechart.images.corruptions.profiles import COMMON, EXTRA
from eyechart.registry import bind
from eyechart.results.published import read_published
from eyechart.study import LAYOUTS, read_study
from eyechart.tasks._severity import SETS
from eyechart.tasks.knn import knn
from samples import plain_encoder, refuses, toy

STUDIES = ("robustness", "robustness_fair", "robustness_extended")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PRIOR = {  # of the published program: size, crop, normalization, and what stands between the linear layers
    "vit_base_patch14_dinov2.lvd142m": (518, 1.0, IMAGENET, "GELU"),
    "vit_base_patch16_clip_224.openai": (224, 0.9, CLIP, "GELU"),
    "vit_base_patch16_clip_quickgelu_224.openai": (224, 0.9, CLIP, "QuickGELU"),
    "vit_base_patch16_224.mae": (224, 0.9, IMAGENET, "GELU"),
}


def bound(kind, specs):
    return [bind(kind, spec) for spec in specs]


# -- what they ask for -----------------------------------------------------------------------------------------------


def test_the_encoders_of_the_study_are_the_published_names_of_timm_without_an_option():
    assert list(read_study("robustness").encoders) == [f"timm:{name}" for name in PRIOR]


@pytest.mark.parametrize("name", PRIOR)
def test_an_encoder_of_the_study_is_looked_at_as_the_published_program_did(name):
    size, crop, (mean, std), activation = PRIOR[name]
    encoder = load_encoder(bind("encoders", f"timm:{name}(pretrained=False, model_args={{'depth': 1}})"))
    seen = encoder.transform
    assert (encoder.dim, seen.size, seen.crop_pct, seen.interpolation) == (768, size, crop, "bicubic")
    assert (seen.mean, seen.std, seen.crop_mode) == (mean, std, "center")
    network = encoder.module
    assert type(network.blocks[0].mlp.act).__name__ == activation
    normed = []
    network.norm.register_forward_hook(lambda module, given, out: normed.append(out))
    features = encoder.forward(np.zeros((1, size, size, 3), np.uint8))
    assert np.allclose(features[0], normed[0][0, 0].numpy(), atol=1e-5)  # the class token, after the final norm


@pytest.mark.parametrize("study", STUDIES)
def test_the_tasks_are_those_of_the_published_program(study):
    tasks = {one.name: one.options for one in bound("tasks", read_study(study).tasks)}
    assert list(tasks) == ["knn", "linear", "robustness", "cost"]
    for name in ("knn", "robustness"):
        asked = {"k": (1, 5, 20), "votes": "similarity", "distance": "cosine", "database": "train+val"}
        assert asked.items() <= tasks[name].items()
    for name in ("linear", "robustness"):
        assert (tasks[name]["c"], tasks[name]["refit"]) == ("five", "train+val")
    assert (tasks["robustness"]["corruptions"], tasks["robustness"]["profile"]) == ("all", "auto")
    assert tasks["robustness"]["severities"] == (1, 2, 3, 4, 5)


def test_the_data_are_cifar10c_with_the_split_of_seed_42():
    (data,) = bound("datasets", read_study("robustness").data)
    assert (data.name, data.options["seed"]) == ("cifar10c", 42)
    assert len(SETS["prior"]) == 16


def test_in_the_fair_study_every_encoder_sees_all_of_an_image_in_224_pixels():
    for study in STUDIES[1:]:
        for one in bound("encoders", read_study(study).encoders):
            card = cards_of(one.text)
            size = one.options["size"] or (card[0].size if card else 224)
            crop = one.options.get("crop_pct") or card[0].crop_pct
            assert (size, crop) == (224, 1.0), one.label


def test_in_the_fair_study_clip_has_its_own_activation_and_mae_its_patch_tokens():
    for study in STUDIES[1:]:
        of = {one.label: (cards_of(one.text), one.options) for one in bound("encoders", read_study(study).encoders)}
        clip = [cards[0] for cards, _ in of.values() if cards and cards[0].family == "CLIP"]
        assert clip
        assert all(card.activation == "quickgelu" for card in clip)
        pools = {options["pool"] for cards, options in of.values() if cards and cards[0].family == "MAE"}
        assert pools == ({"mean", "cls"} if study == "robustness_fair" else {"mean"})


def test_every_encoder_but_those_from_files_has_an_objective_to_be_grouped_by():
    for study in STUDIES:
        for one in bound("encoders", read_study(study).encoders):
            known = group_of(one.text, "objective") != "(none)"
            assert known == ("weights/" not in one.label), one.label


def test_what_was_published_is_of_the_studys_own_encoders_data_and_tasks():
    study = read_study("robustness")
    published = read_published(study.publication)
    assert {one.encoder for one in published.values} <= {one.text for one in bound("encoders", study.encoders)}
    assert published.data == tuple(one.text for one in bound("datasets", study.data))
    assert {one.task for one in published.values} == {"knn", "linear", "robustness"}


def test_layouts_of_other_programs_are_known_to_a_run():
    assert set(importlib.import_module("eyechart.runs")._LAYOUTS) == set(LAYOUTS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('files = "system9"', ("files must be system000", "'system9'")),
        ("published = 3", ("published must be a file's name", "got 3")),
        ('published = "gone.csv"', ("published names 'gone.csv'", "there is no file")),
        ('how_to_get = "ask"', ("how_to_get must be a table",)),
        ('[how_to_get]\nhog = "ask"', ("specs among the encoders", "'hog'")),
        ("[how_to_get]\npixels = 3", ("how_to_get must give texts", "'pixels'")),
    ],
)
def test_a_field_of_a_study_that_means_nothing_is_refused(tmp_path, text, words):
    (tmp_path / "mine.toml").write_text(f'encoders = ["pixels"]\n{text}\n')
    with refuses("mine.toml", *words):
        read_study("mine.toml")


@pytest.mark.parametrize("k", [1, 5, 20])
def test_neighbors_vote_as_in_the_published_program(k):
    data = {split: toy(n, classes=("a", "b", "c"), seed=n, name=split) for split, n in (("train", 60), ("val", 20))}
    data["test"] = toy(45, classes=("a", "b", "c"), seed=3, name="test")
    data = {
        split: dataclasses.replace(one, labels=(one.labels + np.arange(len(one)) // 7) % 3)
        for split, one in data.items()
    }
    case = Case(encoder=plain_encoder(), data=data, task="knn", label="toy")
    (asked,) = (one.options for one in bound("tasks", read_study("robustness").tasks) if one.name == "knn")
    (ours,) = (
        measure.predicted
        for measure in knn(case, **asked)
        if (measure.metric, measure.facets["split"], measure.facets["k"]) == ("accuracy", "test", k)
    )
    x = {split: normalize(case.embed(split).x.astype(np.float64)) for split in data}
    near = NearestNeighbors(n_neighbors=k, metric="cosine").fit(np.concatenate([x["train"], x["val"]]))
    distances, index = near.kneighbors(x["test"])
    labels = np.concatenate([data["train"].labels, data["val"].labels])[index]
    votes = [np.bincount(row, weights=1 - far, minlength=3) for row, far in zip(labels, distances, strict=True)]
    assert ours.tolist() == np.argmax(votes, axis=1).tolist()
    assert len(set(ours.tolist())) == 3


# -- that they run ---------------------------------------------------------------------------------------------------

N = 20  # test images
NUMBERS = """\
# about: A floor
# source: nowhere
# license: MIT
# data: cifar10c
# summary: clean_acc, mCA, severity_auc
# by: probe
encoder,task,name,metric,value,probe,k,split,average,cells,corruption,severity
pixels(size=4),robustness,clean_acc,accuracy,0.1,knn,20,test,,,,
pixels(size=4),robustness,mCA,mean_corruption_accuracy,0.1,knn,20,,prior,80,,
pixels(size=4),robustness,severity_auc,severity_auc_legacy,40,knn,20,,,,fog,
pixels(size=4),robustness,severity_auc,severity_auc_legacy,40,knn,20,,,,snow,
pixels(size=4),robustness,per_corruption,corruption_accuracy,0.9999,knn,20,,,,fog,1
"""


def write_small(data, monkeypatch):
    """Write a small CIFAR-10 and CIFAR-10-C."""
    monkeypatch.setattr(importlib.import_module("eyechart.datasets.cifar10"), "PER_FILE", N)
    if data.exists():
        return
    images = cifar10_images(N)
    write_cifar10(data / "cifar-10-batches-bin", images)
    write_arrays(data / "CIFAR-10-C", cifar_c_arrays(images["test_batch.bin"][1], (*COMMON, *EXTRA)))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a run of the study's tasks with an encoder that needs no weights, and with invented numbers."""
    root = tmp_path_factory.mktemp("done")
    study = read_study("robustness")
    tasks = json.dumps([task for task in study.tasks if task != "cost"])
    (root / "numbers.csv").write_text(NUMBERS)
    (root / "mine.toml").write_text(
        f'encoders = ["pixels(size=4)", "timm:vit_base_patch16_224.mae"]\ndata = ["cifar10c"]\ntasks = {tasks}\n'
        'skip_unavailable = true\npublished = "numbers.csv"\nfiles = "system000"\n'
        '[how_to_get]\n"timm:vit_base_patch16_224.mae" = "Ask MAE."\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        write_small(root / "data", patch)
        ec.run(str(root / "mine.toml"), out=root / "run", data_dir=root / "data", cache_dir=root / "cache")
    return root


def test_a_run_ends_with_the_published_numbers_and_a_line_for_what_was_not_there(done, monkeypatch, eyechart):
    write_small(done / "data", monkeypatch)
    folders = ("--out", done / "run", "--data-dir", done / "data", "--cache-dir", done / "cache")
    code, out, err = eyechart("run", done / "mine.toml", *folders)
    assert code == 0, err
    lines = [line for line in err.splitlines() if line.startswith("skipped ")]
    assert len(lines) == 1
    assert "timm:vit_base_patch16_224.mae" in lines[0]
    assert lines[0].endswith("Ask MAE.")
    assert "A floor: as published by nowhere, and here" in out
    assert "severity_auc, mean of 2" in out
    assert "per_corruption 0 of 1" in " ".join(out.split())


def test_every_published_number_has_ours_beside_it(done):
    table = ec.beside_published(done / "run")
    assert table["n"].tolist() == [N] * 5
    assert table["value"].notna().all()


def test_the_files_say_what_the_records_say(done):
    folder = read_files(done / "run" / "system000")
    assert set(folder) == {
        "experiments/pixels_size_4/results_linear.json",
        "experiments/pixels_size_4/results_knn.json",
        "results/corrupted/pixels_size_4_linear_robustness.json",
        "results/corrupted/pixels_size_4_knn_robustness.json",
        "data/cifar10_splits/split_seed42_val10.json",
    }
    robust = folder["results/corrupted/pixels_size_4_knn_robustness.json"]
    table = ec.table(done / "run")
    every = table[(table.metric == "corruption_accuracy") & (table.probe == "knn") & (table.k == 20)]
    cells = every[every.corruption.isin(SETS["prior"])]
    assert (len(every), len(cells), len(robust["per_corruption"])) == (95, 80, 16)
    assert robust["mCA"] == pytest.approx(100 * cells.value.mean(), abs=5.1e-4)  # three decimals
    fog = cells[cells.corruption == "fog"].sort_values("severity").value
    assert list(robust["per_corruption"]["fog"].values()) == pytest.approx(list(100 * fog))
    assert robust["severity_auc"]["fog"] == pytest.approx(trapezoid(100 * fog))
    split = folder["data/cifar10_splits/split_seed42_val10.json"]
    assert sorted(split["train_idx"] + split["val_idx"]) == list(range(5 * N))


def read_files(root):
    return {path.relative_to(root).as_posix(): json.loads(path.read_text()) for path in Path(root).rglob("*.json")}


def test_the_report_has_what_sums_up_and_every_number(done, tmp_path):
    html = ec.report(done / "run", file=tmp_path / "report.html").read_text()
    assert "Beside published numbers" in html
    assert "Every published number: 5 numbers" in html


def test_on_other_encoders_the_published_numbers_are_not_shown_and_that_is_said(tmp_path, monkeypatch, eyechart):
    write_small(tmp_path / "data", monkeypatch)
    code, out, err = eyechart("run", "robustness", "--encoder", "pixels(size=4)", "--task", "linear(c='five')")
    assert code == 0, err
    assert "of encoders that have no results here, and are not shown" in " ".join(out.split())


def test_on_other_data_the_published_numbers_are_not_shown_and_that_is_said(eyechart):
    code, out, err = eyechart("run", "robustness", "--encoder", "pixels", "--data", "digits", "--task", "knn")
    assert code == 0, err
    assert "what was run here (digits) is not of it" in " ".join(out.split())
    assert not Path("runs/robustness/system000").exists()


@pytest.mark.parametrize("study", STUDIES)
def test_without_any_weights_every_gap_is_one_line_and_nothing_was_done(tmp_path, monkeypatch, study, eyechart):
    def nowhere(bound):
        raise Unavailable(f"the weights of {bound.label} cannot be had")

    write_small(tmp_path / "data", monkeypatch)
    monkeypatch.setattr("eyechart.plan.load_encoder", nowhere)
    code, _, err = eyechart("run", study, "--task", "linear")
    named = [line for line in err.splitlines() if line.startswith("skipped ")]
    assert code == 2
    assert len(named) == len(read_study(study).encoders)
    assert all("cannot be had" in line for line in named)
    assert sum("This is " in line for line in named) == len(read_study(study).how_to_get)
