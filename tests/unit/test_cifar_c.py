import dataclasses
import importlib
import time
from functools import partial

import numpy as np
import pytest

import eyechart as ec
from archives import (
    cifar10_images,
    cifar100_images,
    cifar_c_arrays,
    md5,
    serving,
    tar_of,
    write_arrays,
    write_cifar10,
    write_cifar100,
)
from eyechart import conformance, registry, settings
from eyechart.datasets import _binary, _download
from eyechart.datasets._corrupted import COMMON, CORRUPTIONS, EXTRA
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.images import fingerprints
from eyechart.images.corruptions import corrupted
from eyechart.registry import bind
from eyechart.show.terminal import print_leaderboards
from miniatures import offline, pack
from samples import plain_encoder, refused, refuses

module = importlib.import_module("eyechart.datasets.cifar10c")
clean = importlib.import_module("eyechart.datasets.cifar10")
N = 20  # test images


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(clean, "PER_FILE", N)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def labels(tmp_path):
    """Those of the test images of a small CIFAR-10 that lies in the data folder."""
    images = cifar10_images(N)
    write_cifar10(tmp_path / "data" / "cifar-10-batches-bin", images)
    return images["test_batch.bin"][1]


@pytest.fixture
def arrays(labels):
    return cifar_c_arrays(labels, CORRUPTIONS)


@pytest.fixture
def folder(tmp_path, arrays):
    return write_arrays(tmp_path / "data" / "CIFAR-10-C", arrays)


def opened(spec="cifar10c"):
    return bind("datasets", spec).call()


def test_there_are_nineteen_corruptions_of_which_fifteen_are_common():
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 19
    assert set(CORRUPTIONS) - set(COMMON) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}


@pytest.mark.parametrize(
    ("name", "record", "checksum"),
    [("10", "2535967", "56bf5dcef84df0e2308c6dcbcbbd8499"), ("100", "3555552", "11f0ed0f1191edbf9fa23466ae6021d3")],
)
def test_the_archives_are_those_of_their_zenodo_records(name, record, checksum):
    archive = importlib.import_module(f"eyechart.datasets.cifar{name}c").ARCHIVE
    assert archive.url.startswith(f"https://zenodo.org/records/{record}/files/CIFAR-{name}-C.tar")
    assert (archive.checksum, archive.name) == (f"md5:{checksum}", f"CIFAR-{name}-C.tar")


def test_it_is_the_clean_data_set_with_a_split_for_each_corruption_and_severity(folder):
    data, plain = opened(), opened("cifar10")
    assert list(data)[:3] == ["train", "val", "test"]
    assert list(data)[3:] == [f"test/{name}/{severity}" for name in CORRUPTIONS for severity in range(1, 6)]
    assert all(data[split].key == part.key for split, part in plain.items())


def test_a_severity_is_a_block_of_the_file_under_the_ids_and_labels_of_the_clean_images(folder, arrays):
    data = opened()
    for severity in (1, 4, 5):
        block = arrays["fog.npy"][(severity - 1) * N : severity * N]
        part = data[f"test/fog/{severity}"]
        assert (part.batch(np.arange(N)) == block).all()
        assert (part.batch(np.array([7, 0])) == block[[7, 0]]).all()
        assert (part.load(3) == block[3]).all()
        assert part.ids == data["test"].ids
        assert (part.labels == data["test"].labels).all()
        assert part.base is None
    assert len({part.key for part in data.values()}) == 98


def test_content_hashes_are_those_of_the_pixels(folder, arrays):
    part = opened()["test/snow/2"]
    assert (part.hashes == fingerprints.hash_arrays(arrays["snow.npy"][N : 2 * N])).all()


def test_only_the_severity_that_is_asked_for_is_embedded(folder, forwards):
    embed(plain_encoder(), opened()["test/fog/3"])
    assert sum(forwards) == N


@pytest.mark.parametrize(
    ("options", "splits"),
    [
        ("corruptions='fog'", [f"test/fog/{severity}" for severity in range(1, 6)]),
        ("corruptions=('snow', 'fog'), severities=(5, 1)", ["test/snow/1", "test/snow/5", "test/fog/1", "test/fog/5"]),
        ("corruptions='common', severities=3", [f"test/{name}/3" for name in COMMON]),
    ],
)
def test_some_corruptions_and_severities_can_be_taken(options, splits, folder):
    assert list(opened(f"cifar10c({options})"))[3:] == splits


def test_files_of_corruptions_that_are_not_asked_for_are_not_needed(folder):
    (folder / "fog.npy").unlink()
    assert "test/snow/1" in opened("cifar10c(corruptions='snow')")


def test_the_seed_is_that_of_the_clean_data_set(folder):
    data = opened("cifar10c(seed=7, corruptions='fog')")
    assert data["val"].key == opened("cifar10(seed=7)")["val"].key
    assert data["val"].key != opened("cifar10c(corruptions='fog')")["val"].key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("corruptions='fogg'", ("there is no corruption 'fogg'", "gaussian_noise")),
        ("severities=(1, 6)", ("severities are 1 to 5; got 6",)),
        ("severities=(0,)", ("severities are 1 to 5; got 0",)),
    ],
)
def test_what_does_not_exist_is_refused(options, words, folder):
    with refuses("CIFAR-10-C", *words):
        opened(f"cifar10c({options})")


def test_labels_that_are_not_those_of_the_clean_test_are_refused(folder, arrays):
    wrong = arrays["labels.npy"].copy()
    wrong[[3, 50]] = (wrong[[3, 50]] + 1) % 10
    np.save(folder / "labels.npy", wrong)
    with refuses("labels.npy differs from the labels of the clean test images at 2 of 100 places", "Move"):
        opened()


def test_labels_may_be_those_of_the_test_once(folder, arrays):
    keys = {split: part.key for split, part in opened().items()}
    np.save(folder / "labels.npy", arrays["labels.npy"][:N])
    assert {split: part.key for split, part in opened().items()} == keys


def test_labels_that_are_there_once_are_compared_with_the_clean_ones(folder, arrays):
    np.save(folder / "labels.npy", (arrays["labels.npy"][:N] + 1) % 10)
    with refuses("labels.npy differs from the labels of the clean test images at 20 of 20 places"):
        opened()


@pytest.mark.parametrize(
    ("others", "found"),
    [
        (np.zeros(40, np.uint8), "uint8 (40,)"),
        (np.zeros((100, 1), np.uint8), "uint8 (100, 1)"),
        (np.zeros(20), "float"),
    ],
)
def test_labels_of_another_shape_are_named_with_both_that_fit(others, found, folder):
    np.save(folder / "labels.npy", others)
    with refuses(f"labels.npy holds {found}", "once or for each of the 5 severities (integers, 20 or 100)", "Move"):
        opened()


def test_missing_labels_are_an_error_that_says_what_they_are_for(folder):
    (folder / "labels.npy").unlink()
    with refuses(
        f"there is no {folder / 'labels.npy'}", "are those of the clean test, in their order", "19 corruptions"
    ):
        opened()


def lacking(folder, *names):
    for name in names:
        (folder / f"{name}.npy").unlink()


def test_a_missing_corruption_is_a_gap_that_is_named_with_where_it_was_looked_for_and_the_layout(folder, caplog):
    lacking(folder, "zoom_blur")
    data = opened()
    assert len(data) == 3 + 90
    assert not [split for split in data if "zoom_blur" in split]
    (said,) = caplog.messages
    assert f"{folder}/<corruption>.npy: of 19 corruptions these are not there: zoom_blur." in said
    assert "The folder must hold <corruption>.npy of 19 corruptions (50,000 images each" in said
    assert "\n" not in said


def test_of_the_common_corruptions_the_extra_ones_are_no_gap(folder, caplog):
    lacking(folder, *EXTRA)
    assert len(opened("cifar10c(corruptions='common')")) == 3 + 75
    assert caplog.messages == []
    assert len(opened()) == 3 + 75
    assert "not there: speckle_noise, gaussian_blur, spatter, saturate." in caplog.text


def test_what_is_asked_for_by_name_must_be_there(folder):
    lacking(folder, "fog")
    with refuses(f"{folder}/<corruption>.npy: fog was asked for by name and is not there", "Move"):
        opened("cifar10c(corruptions=('fog', 'snow'))")


@pytest.mark.parametrize("options", ["", "(corruptions='common')", "(corruptions='fog')"])
def test_a_folder_without_any_of_them_is_refused(options, folder):
    lacking(folder, *CORRUPTIONS)
    with refuses(f"{folder}/<corruption>.npy: there is none of ", "fog", "must hold") as caught:
        opened(f"cifar10c{options}")
    assert isinstance(caught.value, Unavailable)


def test_a_file_of_another_shape_is_named_with_both(folder, arrays):
    np.save(folder / "frost.npy", arrays["frost.npy"][:-1])
    with refuses("frost.npy holds uint8 (99, 32, 32, 3) and must hold uint8 (100, 32, 32, 3), 5 severities of 20"):
        opened()


def test_a_file_with_one_severity_is_named_as_such(folder, arrays):
    np.save(folder / "frost.npy", arrays["frost.npy"][:N])
    with refuses("holds uint8 (20, 32, 32, 3) and must hold uint8 (100, 32, 32, 3)", "may be one severity alone"):
        opened()


@pytest.mark.parametrize("cut", [0, 5, 90, 130, -7])
@pytest.mark.parametrize(("name", "whole"), [("frost.npy", 5 * N * 3072 + 128), ("labels.npy", 5 * N + 128)])
def test_a_truncated_file_is_named_with_the_bytes_it_has_and_needs(cut, name, whole, folder):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:cut])
    assert len(content) == whole
    size = f"it has {len(content[:cut]):,} bytes, the official file {whole:,};"
    with refuses(f"{folder / name} is damaged or cut off", size, f"Move {folder} away"):
        opened()


def test_a_folder_that_was_unpacked_in_part_is_refused_at_the_file_that_is_cut_off(folder):
    lacking(folder, *CORRUPTIONS[5:])
    (folder / "glass_blur.npy").write_bytes((folder / "glass_blur.npy").read_bytes()[:1000])
    with refuses("glass_blur.npy is damaged or cut off", "it has 1,000 bytes"):
        opened()


@pytest.mark.parametrize("save", [partial(np.save, allow_pickle=True), np.savez])
def test_a_file_of_another_kind_is_refused_and_never_unpickled(save, folder):
    with (folder / "frost.npy").open("wb") as file:
        save(file, np.array([{"a": 1}], dtype=object))
    with refuses("frost.npy is damaged"):
        opened()


def test_a_truncated_archive_is_refused(folder, monkeypatch, tmp_path):
    pack(monkeypatch, module, cut=1000)
    with refuses(f"{tmp_path / 'data' / 'CIFAR-10-C.tar'} is damaged, incomplete", "Delete it, and get it again from"):
        opened()
    assert not folder.exists()


@pytest.mark.parametrize("suffix", [".part", ".crdownload"])
def test_a_download_that_another_program_did_not_end_is_named(suffix, labels, tmp_path, monkeypatch):
    begun = tmp_path / "data" / f"CIFAR-10-C.tar{suffix}"
    begun.write_bytes(bytes(1_500_000))
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(f"{begun} (1.5 of 2,918 MB) is a download that did not end", "let it end, or delete it"):
        opened()
    with settings.looking(), refuses("not here yet", f"{begun} (1.5 of 2,918 MB)"):
        opened()


# -- a gap, in a run -------------------------------------------------------------------------------------------------


def ran():
    task = "robustness(severities=3, k=1, c=1.0)"
    made = ec.run(encoder=["pixels(size=4)"], data=["cifar10c(severities=3)"], task=[task], out="out")
    (record,) = made.records
    return made, record


def means(record, **facets):
    return [
        (one.facets["cells"], one.facets["of"])
        for one in record.measures
        if one.metric == "mean_corruption_accuracy" and facets.items() <= one.facets.items()
    ]


def test_a_gap_is_in_the_notes_of_the_record_and_every_mean_says_how_many_cells_it_has(folder):
    lacking(folder, "fog", *EXTRA)
    _, record = ran()
    missing = ", ".join(f"{name} (3)" for name in ("fog", *EXTRA))
    assert f"of 19 corrupted splits 5 are missing: {missing}" in record.notes
    assert set(means(record, average="asked")) == set(means(record, average="all")) == {(14, 19)}
    assert set(means(record, average="common")) == {(14, 15)}
    assert set(means(record, group="weather")) == {(3, 4)}
    assert set(means(record, group="blur")) == {(4, 4)}


def test_a_mean_that_lacks_cells_says_so_in_the_terminal_and_in_the_report(folder, capsys):
    lacking(folder, "fog", *EXTRA)
    made, _ = ran()
    print_leaderboards(made.leaderboards())
    assert "(14 of 19 cells)" in capsys.readouterr().out
    assert "over 14 of 19 cells" in ec.report(made.out).read_text()
    (decision,) = made.compare().decisions
    assert any("pixels(size=4) is scored over 14 of 19 cells" in note for note in decision.notes)


def test_a_dry_run_counts_the_official_images_for_the_task_that_embeds_them_alone(folder, forwards):
    asked = {"encoder": "pixels(size=4)", "data": "cifar10c", "out": "out"}
    (plain,) = ec.dry_run(**asked, task="knn(k=1)")
    (fog,) = ec.dry_run(**asked, task='robustness(corruptions=("fog",), severities=(1,), k=1, c=1.0)')
    assert (plain.images, fog.images) == (100 + N, 100 + 2 * N)
    forwards.clear()  # of timing a few images
    ec.run(**asked, task='robustness(corruptions=("fog",), severities=(1,), k=1, c=1.0)')
    assert sum(forwards) == fog.images


def test_when_the_file_is_there_the_record_is_made_anew_and_only_its_images_are_embedded(folder, arrays, forwards):
    lacking(folder, "fog")
    _, partial_record = ran()
    assert sum(forwards) == 100 + N + 18 * N
    np.save(folder / "fog.npy", arrays["fog.npy"])
    forwards.clear()
    again, whole = ran()
    assert again.computed == 1
    assert whole.id != partial_record.id
    assert sum(forwards) == N
    assert not [note for note in whole.notes if "missing" in note]
    assert set(means(whole, average="asked")) == {(19, 19)}
    assert whole.keys["data"].items() > partial_record.keys["data"].items()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--data", "cifar10c(severities=(1, 6))"), "CIFAR-10-C: severities are 1 to 5; got 6."),
        (("run", "--data", "cifar10c", "--task", "robustness(severities=(1, 6))"), "severities must be"),
        (("run", "--data", "cifar10", "--task", "robustness(severities=(1, 6))"), "severities must be"),
        (("corrupt", "--data", "cifar10", "--out", "x", "--severity", "6"), "severity must be 1, 2, 3, 4 or 5; got 6"),
    ],
)
def test_severity_6_is_one_line_wherever_it_is_asked_for(words, said, folder, eyechart):
    more = ("--encoder", "pixels(size=4)", "--out", "out") if words[0] == "run" else ()
    refused(eyechart(*words, *more), said)


def test_a_view_of_severity_6_is_refused(folder):
    with refuses("severity must be 1, 2, 3, 4 or 5; got 6"):
        corrupted(opened("cifar10")["test"], "fog", 6)


@pytest.mark.parametrize("spec", ["cifar10c(severities=(1, 6))", "cifar10c(corruptions='fogg')"])
def test_an_option_that_cannot_be_is_refused_before_anything_is_downloaded(spec, tmp_path):
    with refuses("CIFAR-10-C"):
        opened(spec)
    assert not (tmp_path / "data").exists()


def test_files_are_hashed_once_and_again_when_they_change(folder, arrays, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 0)
    first = opened("cifar10c(corruptions=('fog', 'snow'))")
    hashed = []
    real = _binary.hash_arrays
    monkeypatch.setattr(_binary, "hash_arrays", lambda pixels: hashed.append(len(pixels)) or real(pixels))
    again = opened("cifar10c(corruptions=('fog', 'snow'))")
    assert hashed == []
    assert [part.key for part in again.values()] == [part.key for part in first.values()]
    changed = arrays["fog.npy"].copy()
    changed[2 * N, 0, 0, 0] ^= 1
    time.sleep(0.01)
    np.save(folder / "fog.npy", changed)
    other = opened("cifar10c(corruptions=('fog', 'snow'))")
    assert hashed == [5 * N]
    assert [split for split in other if other[split].key != first[split].key] == ["test/fog/3"]


def test_files_that_changed_a_moment_ago_are_not_remembered(folder, tmp_path):
    opened("cifar10c(corruptions='fog')")
    assert not list((tmp_path / "cache" / "files").glob("*.bin"))


def test_a_damaged_memo_is_not_believed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 0)
    first = opened("cifar10c(corruptions='fog')")
    memos = list((tmp_path / "cache" / "files").glob("*.bin"))
    assert memos
    for memo in memos:
        memo.write_bytes(memo.read_bytes()[:-1] + b"x")
    assert opened("cifar10c(corruptions='fog')")["test/fog/5"].key == first["test/fog/5"].key


def test_both_archives_are_downloaded_and_unpacked(tmp_path, monkeypatch):
    images = cifar10_images(N)
    plain = tar_of(write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", images))
    arrays = cifar_c_arrays(images["test_batch.bin"][1], CORRUPTIONS)
    content = tar_of(write_arrays(tmp_path / "made" / "CIFAR-10-C", arrays))
    with serving(plain, content) as (address, asked):
        for one, name, sent in (
            (clean, "cifar-10-binary.tar.gz", plain),
            (module, "CIFAR-10-C.tar?download=1", content),
        ):
            archive = dataclasses.replace(one.ARCHIVE, url=f"{address}/{name}", checksum=md5(sent))
            monkeypatch.setattr(one, "ARCHIVE", archive)
        assert len(opened()) == 98
    assert asked == ["/cifar-10-binary.tar.gz", "/CIFAR-10-C.tar?download=1"]
    assert (tmp_path / "data" / "CIFAR-10-C.tar").is_file()


def test_without_it_the_way_to_get_it_is_said(labels, tmp_path, monkeypatch):
    with serving(404) as (address, _):
        monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=f"{address}/CIFAR-10-C.tar"))
        with refuses(f"{tmp_path / 'data'} has neither the folder CIFAR-10-C", "labels.npy", "404") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)


def test_cifar100c_is_the_same_for_cifar100(tmp_path, monkeypatch):
    hundred = importlib.import_module("eyechart.datasets.cifar100")
    for name, value in {"TRAIN": 100, "TEST": N, "FINE": 10, "COARSE": 5}.items():
        monkeypatch.setattr(hundred, name, value)
    images = cifar100_images(test=N)
    write_cifar100(tmp_path / "data" / "cifar-100-binary", images)
    arrays = cifar_c_arrays(images["test.bin"][2], CORRUPTIONS)
    write_arrays(tmp_path / "data" / "CIFAR-100-C", arrays)
    data = opened("cifar100c(corruptions='common')")
    assert len(data) == 3 + 75
    assert (data["test/contrast/5"].batch(np.arange(N)) == arrays["contrast.npy"][4 * N :]).all()
    assert (data["test/contrast/5"].labels == images["test.bin"][2]).all()


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["cifar10c"])
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
