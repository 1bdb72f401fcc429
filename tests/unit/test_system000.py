"""The files of the prior system: from records alone, and with its published numbers exactly its published files."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.integrate import trapezoid

from eyechart.registry import bind
from eyechart.results import records, system000
from eyechart.results.published import read_published
from eyechart.study import read_study
from eyechart.types import Measure, Record
from samples import toy

STUDY = read_study("robustness")
PUBLISHED = read_published(STUDY.publication).values
TASKS = {bind("tasks", spec).name: bind("tasks", spec) for spec in STUDY.tasks}
DINOV2 = bind("encoders", "timm:vit_base_patch14_dinov2.lvd142m")
MODEL = "vit_base_patch14_dinov2.lvd142m"
N = 10_000


def of(task, encoder=DINOV2.text):
    return [one for one in PUBLISHED if (one.encoder, one.task) == (encoder, task)]


def record(task, measures, encoder=DINOV2, data="cifar10c", **changes):
    where = bind("datasets", data)
    bound = {"encoder": encoder.text, "data": where.text, "task": TASKS[task].text, "limit": None}
    made = Record(
        id=f"{task}-{encoder.label}",
        keys={"encoder": encoder.label, "data": {}},
        encoder=encoder.label,
        data=where.label,
        task=TASKS[task].label,
        bound=bound,
        seed=None,
        measures=tuple(measures),
        headline={},
    )
    return dataclasses.replace(made, **changes)


def clean(value, **facets):
    return Measure(metric="accuracy", value=value, n=N, facets={"split": "test", **facets})


def linear_record(encoder=DINOV2):
    said = {one.name: one.value for one in of("linear", encoder.text)}
    grid = (0.01, 0.1, 1.0, 10.0, 100.0)
    on_val = [
        Measure(
            metric="accuracy",
            value=said["val_acc"] if c == said["best_C"] else 0.5,
            n=5000,
            facets={"split": "val", "probe": "linear", "c": c, "selected": c == said["best_C"]},
        )
        for c in grid
    ]
    return record(
        "linear", [*on_val, clean(said["test_acc"], probe="linear", c=said["best_C"], selected=True)], encoder
    )


def knn_record(encoder=DINOV2):
    return record("knn", [clean(one.value, probe="knn", k=one.facets["k"]) for one in of("knn", encoder.text)], encoder)


def robust_record(encoder=DINOV2, skip=()):
    """What the task gives, as far as was published; of k-NN with other ks, too."""
    measures = [clean(0.3, probe="knn", k=5)]
    for one in of("robustness", encoder.text):
        facets = {"split": "test", "profile": "official", **one.facets}
        if one.name == "clean_acc":
            measures.append(clean(one.value, **one.facets))
        if one.name == "per_corruption" and (facets["corruption"], facets["severity"]) not in skip:
            measures.append(Measure(metric="corruption_accuracy", value=one.value, n=N, facets=facets))
            if facets["probe"] == "knn":
                other = {**facets, "k": 5}
                measures.append(Measure(metric="corruption_accuracy", value=0.25, n=N, facets=other))
    return record("robustness", measures, encoder)


def published(name, probe, encoder=DINOV2.text):
    return [one for one in of("robustness", encoder) if one.name == name and one.facets["probe"] == probe]


ENCODERS = list(dict.fromkeys(one.encoder for one in PUBLISHED))


@pytest.mark.parametrize("probe", ["linear", "knn"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_with_the_published_cells_a_file_of_robustness_is_the_published_one(encoder, probe):
    bound = bind("encoders", encoder)
    made = system000.files([robust_record(bound)])[f"results/corrupted/{bound.argument}_{probe}_robustness.json"]
    said = {name: published(name, probe, encoder) for name in ("clean_acc", "cifar10c_acc", "mCA", "RR")}
    assert list(made) == [
        *("model", "probe", "clean_acc", "cifar10c_acc", "mCA", "RR", "severity_auc", "per_corruption"),
    ]
    assert (made["model"], made["probe"]) == (bound.argument, probe)
    for name in ("clean_acc", "cifar10c_acc", "mCA"):
        assert made[name] == round(100 * said[name][0].value, 3), name
    assert made["RR"] == said["RR"][0].value
    cells = {}
    for one in published("per_corruption", probe, encoder):
        cells.setdefault(one.facets["corruption"], {})[str(one.facets["severity"])] = round(100 * one.value, 3)
    assert made["per_corruption"] == cells
    areas = {one.facets["corruption"]: one.value for one in published("severity_auc", probe, encoder)}
    assert made["severity_auc"] == pytest.approx(areas, abs=1e-9)
    assert list(made["severity_auc"]) == list(areas)


def test_the_files_of_clean_accuracy_are_the_published_ones():
    made = system000.files([linear_record(), knn_record()])
    assert made == {
        f"experiments/{MODEL}/results_linear.json": {
            "model": MODEL,
            "search_Cs": [0.01, 0.1, 1.0, 10.0, 100.0],
            "best_C": 0.01,
            "val_acc": 99.06,
            "test_acc": 98.78,
            "scaled": True,
            "refit_on_full": True,
            "seed": 42,
        },
        f"experiments/{MODEL}/results_knn.json": {
            "model": MODEL,
            "metric": "cosine",
            "normalize": True,
            "use_val_db": True,
            "k_values": [1, 5, 20],
            "test": {"1": 98.64, "5": 98.73, "20": 98.81},
        },
    }


def test_beside_results_on_corrupted_images_they_say_these_too():
    made = system000.files([linear_record(), knn_record(), robust_record()])
    linear = made[f"experiments/{MODEL}/results_linear.json"]
    assert (linear["cifar10c_acc"], linear["relative_robustness"]) == (90.608, 0.9173)
    assert made[f"experiments/{MODEL}/results_knn.json"]["cifar10c"] == {"5": 25.0, "20": 89.154}


def test_a_missing_severity_is_null_and_the_areas_take_the_mean_of_the_others():
    made = system000.files([robust_record(skip={("fog", 3)})])
    linear = made[f"results/corrupted/{MODEL}_linear_robustness.json"]
    assert linear["per_corruption"]["fog"] == {"1": 98.55, "2": 97.81, "3": None, "4": 92.9, "5": 79.03}
    rest = np.mean([98.55, 97.81, 92.9, 79.03])
    assert linear["severity_auc"]["fog"] == pytest.approx(trapezoid([98.55, 97.81, rest, 92.9, 79.03]))
    assert (linear["mCA"], linear["cifar10c_acc"], linear["RR"]) == (None, None, None)
    json.dumps(made, allow_nan=False)


def test_a_missing_corruption_is_null_and_so_are_the_means_and_that_is_said(caplog):
    made = system000.files([linear_record(), robust_record(skip={("fog", severity) for severity in range(1, 6)})])
    linear = made[f"results/corrupted/{MODEL}_linear_robustness.json"]
    assert set(linear["per_corruption"]["fog"].values()) == {None}
    assert linear["severity_auc"]["fog"] is None
    assert (linear["mCA"], linear["cifar10c_acc"], linear["RR"]) == (None, None, None)
    assert len(linear["per_corruption"]) == 16
    assert "cifar10c_acc" not in made[f"experiments/{MODEL}/results_linear.json"]
    assert "75 of 80 cells are there, so means are null" in caplog.text


def test_a_clean_accuracy_of_zero_has_no_ratio():
    zero = robust_record()
    measures = [dataclasses.replace(m, value=0.0) if m.metric == "accuracy" else m for m in zero.measures]
    made = system000.files([dataclasses.replace(zero, measures=tuple(measures))])
    assert made[f"results/corrupted/{MODEL}_linear_robustness.json"]["RR"] is None


def test_results_on_other_data_are_in_no_file(caplog, tmp_path):
    caplog.set_level("INFO", logger="eyechart")
    assert system000.write(tmp_path, [record("linear", (), data="digits")]) == []
    assert "no data but all of cifar10c" in caplog.text


def test_corruptions_made_here_are_not_passed_off_as_the_official_ones():
    made = robust_record()
    ours = [
        dataclasses.replace(one, facets={**one.facets, "profile": "cifar-c"}) if "profile" in one.facets else one
        for one in made.measures
    ]
    assert system000.files([dataclasses.replace(made, measures=tuple(ours))]) == {}


def test_of_two_results_for_one_file_none_is_written_and_that_is_said(caplog):
    assert system000.files([knn_record(), knn_record()]) == {}
    assert "several results of knn" in caplog.text


def test_encoders_with_options_have_files_of_their_own():
    changed = bind("encoders", "timm:vit_base_patch14_dinov2.lvd142m(size=224)")
    made = record("knn", knn_record().measures, changed)
    assert set(system000.files([knn_record(), made])) == {
        f"experiments/{MODEL}/results_knn.json",
        f"experiments/timm_{MODEL}_size_224/results_knn.json",
    }


def test_files_are_written_beside_the_records_with_the_split(tmp_path):
    whole = {
        split: dataclasses.replace(toy(n, name=split), ids=tuple(f"train/{row:05d}" for row in rows))
        for split, n, rows in (("train", 3, (0, 2, 4)), ("val", 2, (1, 3)))
    }
    records.save_split_data(tmp_path, whole)
    keys = {"encoder": "e", "data": {split: images.key for split, images in whole.items()}}
    paths = system000.write(tmp_path, [dataclasses.replace(linear_record(), keys=keys)])
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"system000/experiments/{MODEL}/results_linear.json",
        "system000/data/cifar10_splits/split_seed42_val2.json",
    ]
    assert json.loads(paths[0].read_text())["test_acc"] == 98.78
    assert json.loads(paths[1].read_text()) == {"train_idx": [0, 2, 4], "val_idx": [1, 3]}


def test_of_some_of_the_images_no_file_is_written(tmp_path, caplog):
    caplog.set_level("INFO", logger="eyechart")
    few = dataclasses.replace(linear_record(), bound={**linear_record().bound, "limit": 12})
    assert system000.write(tmp_path, [few]) == []
    assert "no data but all of cifar10c" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_task_of_the_same_name_that_is_another_has_no_file():
    other = dataclasses.replace(linear_record(), bound={**linear_record().bound, "task": "linear(penalty=1)"})
    assert system000.files([other]) == {}


def test_any_encoder_has_a_name_that_a_file_can_have():
    long = "concat(" + ", ".join(f'"pixels(size={size})"' for size in range(2, 40)) + ")"
    for label in (long, "mine(lr=fast)", "../../etc/passwd"):
        odd = dataclasses.replace(linear_record(), encoder=label, bound={**linear_record().bound, "encoder": label})
        (name,) = system000.files([odd])
        folder, model, file = name.split("/")
        assert (folder, file) == ("experiments", "results_linear.json")
        assert len(model) < 200
        assert not model.startswith(".")
