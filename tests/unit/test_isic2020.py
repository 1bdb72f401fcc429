import numpy as np
import pytest

from eyechart import conformance, settings
from eyechart.datasets.isic2020 import isic2020
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.registry import entries
from samples import plain_encoder, refuses, write_images

PATIENTS, EACH = 60, 5
HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"


def melanoma(number):
    """Every fifth patient has one melanoma."""
    patient, image = divmod(number, EACH)
    return int(patient % 5 == 0 and image == 2)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "isic2020"
    names = [f"ISIC_{number:07d}" for number in range(PATIENTS * EACH)]
    write_images(root, [f"train/{name}.jpg" for name in names])
    lines = [
        f"{name},IP_{number // EACH:04d},male,45.0,head/neck,unknown,"
        f"{'malignant' if melanoma(number) else 'benign'},{melanoma(number)}"
        for number, name in enumerate(names)
    ]
    (root / "ISIC_2020_Training_GroundTruth.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return root


def test_all_images_are_in_a_split_with_their_diagnosis(root):
    data = isic2020()
    told = {name: label for images in data.values() for name, label in zip(images.ids, images.labels, strict=True)}
    assert told == {f"ISIC_{number:07d}.jpg": melanoma(number) for number in range(PATIENTS * EACH)}
    assert data["train"].classes == ("benign", "melanoma")


def test_that_it_is_not_all_there_is_said(root, caplog):
    isic2020()
    assert "is not all of ISIC 2020; of its images it has 300 of 33,126 (training)" in caplog.text


def test_a_patient_is_on_one_side(root):
    data = isic2020()
    patients = [set(images.groups) for images in data.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == PATIENTS
    assert data["val"].groups[0].startswith("IP_")


def test_patients_with_melanoma_are_in_the_same_proportion_on_each_side(root):
    data = isic2020()
    counts = {split: int(images.labels.sum()) for split, images in data.items()}
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    assert all(abs(counts[split] - 12 * share) < 1 for split, share in shares.items())
    assert all(abs(len(data[split]) - 300 * share) <= EACH for split, share in shares.items())


def test_another_seed_draws_other_splits_and_embeds_nothing_again(root, forwards):
    first, other = isic2020(), isic2020(seed=1)
    assert first["test"].ids != other["test"].ids
    for images in (*first.values(), *other.values()):
        embed(plain_encoder(), images)
    assert sum(forwards) == PATIENTS * EACH


def test_balanced_takes_equally_many_of_each_class(root):
    data = isic2020(balanced=10)
    assert np.bincount(np.concatenate([images.labels for images in data.values()])).tolist() == [10, 10]


def test_balanced_needs_only_the_files_it_takes(root):
    taken = {name for images in isic2020(balanced=10).values() for name in images.ids}
    for path in (root / "train").iterdir():
        if path.name not in taken:
            path.unlink()
    assert {name for images in isic2020(balanced=10).values() for name in images.ids} == taken


def test_a_sample_has_the_sizes_of_the_published_table(root):
    data = isic2020(balanced=12, sample=10)
    assert {split: np.bincount(images.labels).tolist() for split, images in data.items()} == {
        "train": [6, 6],
        "val": [2, 2],
        "test": [4, 4],
    }


def test_the_published_sizes_follow_for_1150_images():
    from eyechart.datasets._sampling import sizes

    published = {10: (14, 4, 1132), 100: (148, 50, 952), 1000: (688, 230, 232)}
    for per_class, expected in published.items():
        train, val = sizes(575, per_class)
        assert (2 * train, 2 * val, 1150 - 2 * (train + val)) == expected


def test_the_second_version_of_the_table_is_read_too(root):
    first = isic2020()
    table = root / "ISIC_2020_Training_GroundTruth.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    lines = [",".join([*cells[:2], "lesion_id" if cells[0] == "image_name" else "IL_1", *cells[2:]]) for cells in lines]
    (root / "ISIC_2020_Training_GroundTruth_v2.csv").write_text("\n".join(lines) + "\n")
    table.unlink()
    assert isic2020()["train"].key == first["train"].key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"balanced": 13}, ["at most the 12 images of the rarer class", "got 13"]),
        ({"balanced": 4}, ["balanced must be at least 5"]),
        ({"seed": -1}, ["seed at least 0"]),
        ({"balanced": 5, "sample": 2}, ["sample must be at least 4"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(root, options, words):
    with refuses("isic2020", *words):
        isic2020(**options)


def test_a_target_that_is_none_is_refused(root):
    table = root / "ISIC_2020_Training_GroundTruth.csv"
    table.write_text(table.read_text().replace("malignant,1", "malignant,2"))
    with refuses("GroundTruth.csv", "'2' as target"):
        isic2020()


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path):
    with refuses(str(tmp_path / "data" / "isic2020"), "ISIC_2020_Training_GroundTruth.csv", "JPEG.zip") as caught:
        isic2020()
    assert isinstance(caught.value, Unavailable)


def test_it_keeps_what_data_sets_promise(root, tmp_path):
    with settings.using(data_dir=tmp_path / "data"):
        findings = conformance.check(entries("datasets")["isic2020"])
    assert not [finding for finding in findings if not finding.passed or finding.skipped]
