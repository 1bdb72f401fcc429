import logging

import numpy as np
import pytest

import eyechart.datasets.pacs as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, named, opened, sizes, write_lines
from samples import refuses, write_images

DOMAINS = ("photo", "art_painting", "cartoon", "sketch")
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
EACH = 10  # of each class in each domain


def names(*domains):
    """The images of some domains, as the official lists write them; sketches are PNG."""
    return [
        f"{domain}/{name}/pic_{n:03d}.{'png' if domain == 'sketch' else 'jpg'}"
        for domain in domains
        for name in CLASSES
        for n in range(1, EACH + 1)
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IMAGES", dict.fromkeys(DOMAINS, 7 * EACH))
    return write_images(tmp_path / "data" / "pacs", names(*DOMAINS))


@pytest.fixture
def lists(folder):
    """The official lists: of each class the first image is val."""
    for domain in DOMAINS:
        for kind, first in (("crossval", True), ("train", False)):
            chosen = [name for name in reversed(names(domain)) if ("_001." in name) == first]
            lines = [f"{name} {1 + CLASSES.index(name.split('/')[1])}" for name in chosen]
            write_lines(folder / f"{domain}_{kind}_kfold.txt", *lines)
    return folder


def held(images):
    return set(images.groups)


def test_the_published_domains_have_9991_images():
    assert module.IMAGES == {"photo": 1670, "art_painting": 2048, "cartoon": 2344, "sketch": 3929}
    assert sum(module.IMAGES.values()) == 9991


def test_one_domain_is_left_out_and_tested(folder):
    data = opened('pacs(test="photo")')
    assert sizes(data) == {"train": 189, "val": 21, "test": 70}
    assert held(data["train"]) == held(data["val"]) == {"art_painting", "cartoon", "sketch"}
    assert sorted(data["test"].ids) == sorted(names("photo"))
    assert sorted([*data["train"].ids, *data["val"].ids]) == sorted(names("art_painting", "cartoon", "sketch"))
    for images in data.values():
        assert images.classes == CLASSES
        assert [(name.split("/")[1], name.split("/")[0]) for name in images.ids] == [
            (known, group) for (_, known), group in zip(named(images), images.groups, strict=True)
        ]


def test_val_has_a_tenth_of_each_class_of_each_domain(folder):
    val = opened("pacs")["val"]
    assert sorted({name.rpartition("/")[0] for name in val.ids}) == sorted(
        f"{domain}/{name}" for domain in DOMAINS[:3] for name in CLASSES
    )
    assert len(val) == 21


def test_train_and_test_may_be_any_domains(folder):
    data = opened('pacs(train=("photo", "cartoon"), test=("sketch", "art_painting"))')
    assert held(data["train"]) == held(data["val"]) == {"photo", "cartoon"}
    assert held(data["test"]) == {"sketch", "art_painting"}
    assert sizes(opened('pacs(train="photo", test="sketch")')) == {"train": 63, "val": 7, "test": 70}


def test_all_choices_share_one_embedding(folder):
    specs = ("pacs", 'pacs(test="photo")', 'pacs(train="photo", seed=1, val=0.3)')
    assert len({part.base.pixels_key for spec in specs for part in opened(spec).values()}) == 1


def test_pixels_are_those_of_the_files(folder):
    assert_pixels_are_those_of(folder, opened("pacs")["val"])


def test_another_seed_draws_another_val(folder):
    assert opened("pacs")["val"].ids != opened("pacs(seed=1)")["val"].ids


def test_copies_of_an_image_in_one_domain_lie_on_one_side(folder):
    copies = [f"photo/dog/pic_{n:03d}.jpg" for n in range(1, 6)]
    for name in copies[1:]:
        (folder / name).write_bytes((folder / copies[0]).read_bytes())
    for seed in range(5):
        assert len(set(copies) & set(opened(f"pacs(seed={seed})")["train"].ids)) in {0, 5}


def test_the_images_may_lie_in_kfold(folder):
    before = {split: images.key for split, images in opened("pacs").items()}
    (folder / "kfold").mkdir()
    for domain in DOMAINS:
        (folder / domain).rename(folder / "kfold" / domain)
    assert {split: images.key for split, images in opened("pacs").items()} == before


def test_the_official_lists_say_what_is_train_and_val(lists):
    data = opened("pacs(official=True)")
    inside = names("photo", "art_painting", "cartoon")
    assert sorted(data["val"].ids) == sorted(name for name in inside if "_001." in name)
    assert sorted(data["train"].ids) == sorted(name for name in inside if "_001." not in name)
    assert sorted(data["test"].ids) == sorted(names("sketch"))
    assert data["val"].base.pixels_key == opened("pacs")["val"].base.pixels_key


def test_an_image_that_a_list_names_twice_is_there_once(lists):
    path = lists / "art_painting_crossval_kfold.txt"
    first = path.read_text().splitlines()[0]
    path.write_text(path.read_text() + first[:-1] + "0\n")  # as the published list: another number, too
    data = opened("pacs(official=True)")
    assert len(data["val"]) == 21
    assert named(data["val"])[data["val"].ids.index(first.split()[0])][1] == first.split("/")[1]


@pytest.mark.parametrize("name", ["photo_train_kfold.txt", "cartoon_crossval_kfold.txt"])
def test_a_missing_list_is_named(name, lists):
    (lists / name).unlink()
    with refuses(f"cannot read the list {lists / name}", "photo_train_kfold.txt and so on", "Get it from"):
        opened("pacs(official=True)")


def test_a_listed_image_that_is_not_there_is_named(lists):
    (lists / "photo" / "dog" / "pic_001.jpg").unlink()
    with refuses("photo_crossval_kfold.txt lists photo/dog/pic_001.jpg, which is not among the images"):
        opened("pacs(official=True)")


def test_a_domain_is_not_both_learnt_and_tested(folder):
    with refuses("pacs: photo is in train and in test"):
        opened('pacs(train=("photo", "sketch"), test="photo")')


def test_all_domains_cannot_be_tested(folder):
    with refuses("pacs: test names all domains", "none is left for train"):
        opened('pacs(test=("photo", "art_painting", "cartoon", "sketch"))')


def test_a_domain_that_is_none_is_refused(folder):
    with refuses("pacs: test must be", '"photo"'):
        opened('pacs(test="clipart")')


def test_official_lists_are_not_drawn(lists):
    with refuses("pacs: the official lists are not drawn", "seed=3"):
        opened("pacs(official=True, seed=3)")


def test_a_part_of_pacs_is_used_and_that_is_said(folder, caplog, monkeypatch):
    monkeypatch.setitem(module.IMAGES, "cartoon", 2344)
    with caplog.at_level(logging.WARNING, "eyechart"):
        assert sum(sizes(opened("pacs")).values()) == 280
    assert "pacs is not all of PACS; of its images it has 70 of 2,344 (cartoon)" in caplog.text


def test_all_of_pacs_is_used_without_a_word(folder, caplog):
    with caplog.at_level(logging.INFO, "eyechart"):
        opened("pacs")
    assert not caplog.text


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path):
    with refuses(f"there is no folder {tmp_path}/data/pacs", "<domain>/<class>/*", "Get it from") as caught:
        opened("pacs")
    assert isinstance(caught.value, Unavailable)


def test_a_domain_without_folder_is_named(folder):
    (folder / "cartoon").rename(folder / "comic")
    with refuses(f"there is no folder {folder / 'cartoon'}", "must hold <domain>/<class>/*"):
        opened("pacs")


def test_a_class_that_pacs_does_not_have_is_named(folder, caplog):
    (folder / "photo" / "cat").mkdir()
    opened("pacs")
    assert "photo: these folders are of none of the 7 classes: cat" in caplog.text


def test_few_images_leave_nothing_for_a_small_val(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IMAGES", dict.fromkeys(DOMAINS, 14))
    write_images(tmp_path / "data" / "pacs", [n for n in names(*DOMAINS) if "_001." in n or "_002." in n])
    with refuses("pacs: a val of 0.01 leaves no image in val"):
        opened("pacs(val=0.01)")
    assert np.bincount(opened("pacs(val=0.5)")["val"].labels).tolist() == [3] * 7


@pytest.mark.parametrize("spec", ["pacs", 'pacs(train="photo", test="cartoon")', "pacs(official=True)"])
def test_it_keeps_the_promises_of_a_data_set(spec, lists):
    assert_conforms(spec)
