"""What is part of an identity and what is not: what changes a key, what changes only a record, what changes nothing."""

import dataclasses
import os
import shutil
import time

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import eyechart as ec
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind
from eyechart.settings import using
from samples import PLUGIN, output_of, photos, plain_encoder, toy_data

VIT = "pretrained=False, size=32"


def record_of(encoder="pixels(size=4)", data="photos", task="knn(k=1)", **flags):
    """The only record of a small run."""
    out = ec.run(encoder=[encoder], data=[data], task=[task], out="out", **flags)
    assert not out.failures, out.failures
    (record,) = out.records
    return record


@pytest.fixture
def root(tmp_path):
    return photos(tmp_path / "photos", classes=("ant", "bee", "cat"), n=8)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(3)
    network = timm.create_model("test_vit", img_size=32)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    with torch.no_grad():
        network.norm.bias[0] += 1e-3
    save_file(network.state_dict(), tmp_path / "others.safetensors")
    return tmp_path / "weights.safetensors"


def key_of(options=VIT):
    return load_encoder(bind("encoders", f"timm:test_vit({options})")).key


@pytest.mark.parametrize(
    "change", ['pool="mean"', "crop_pct=0.5", "mean=(0.4, 0.5, 0.5)", "std=(0.4, 0.5, 0.5)", "seed=1"]
)
def test_what_the_network_sees_or_gives_changes_the_key_of_its_embeddings(root, forwards, change):
    before = record_of(f"timm:test_vit({VIT})")
    forwards.clear()
    after = record_of(f"timm:test_vit({VIT}, {change})")
    assert before.keys["encoder"] != after.keys["encoder"]
    assert before.id != after.id
    assert sum(forwards) == 24


def test_other_weights_under_the_same_path_change_the_key(root, weights, forwards):
    spec = f'timm:test_vit(weights="{weights}", size=32)'
    before = record_of(spec)
    shutil.copy(weights.with_name("others.safetensors"), weights)
    forwards.clear()
    after = record_of(spec)
    assert before.keys["encoder"] != after.keys["encoder"]
    assert before.id != after.id
    assert sum(forwards) == 24


def test_the_same_weights_elsewhere_are_the_same_encoder(root, weights, forwards):
    before = record_of(f'timm:test_vit(weights="{weights}", size=32)')
    weights.rename(weights.with_name("moved.safetensors"))
    forwards.clear()
    after = record_of(f'timm:test_vit(weights="{weights.with_name("moved.safetensors")}", size=32)')
    assert before.keys == after.keys
    assert before.id == after.id
    assert forwards == []


def test_one_pixel_changes_the_key(root, forwards):
    before = record_of()
    path = root / "bee" / "003.png"
    pixels = np.array(Image.open(path))
    pixels[5, 2, 1] ^= 1
    Image.fromarray(pixels).save(path)
    forwards.clear()
    after = record_of()
    assert before.keys["encoder"] == after.keys["encoder"]
    assert before.keys["data"] != after.keys["data"]
    assert before.id != after.id
    assert sum(forwards) == 24


def test_a_replaced_image_of_the_same_size_and_time_is_noticed(root, forwards, monkeypatch):
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", -1)  # a memo remembers it
    for number, name in enumerate(("000", "001")):
        Image.fromarray(np.full((8, 8, 3), 40 + number, np.uint8)).save(root / "cat" / f"{name}.bmp")
    before = record_of()
    time.sleep(0.05)
    path, stat = root / "cat" / "000.bmp", (root / "cat" / "000.bmp").stat()
    path.write_bytes((root / "cat" / "001.bmp").read_bytes().replace(b"\x29", b"\x30"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    forwards.clear()
    assert record_of().id != before.id
    assert sum(forwards) == 26


def correct_a_label(root):
    (root / "ant" / "003.png").rename(root / "cat" / "was an ant.png")


def rename_a_class(root):
    (root / "ant").rename(root / "zebra")


def rename_an_image(root):
    (root / "bee" / "005.png").rename(root / "bee" / "a first one.png")


@pytest.mark.parametrize("change", [correct_a_label, rename_a_class, rename_an_image])
def test_what_people_say_of_the_images_changes_the_record_and_embeds_nothing(root, forwards, change):
    before = record_of()
    assert sum(forwards) == 24
    forwards.clear()
    change(root)
    after = record_of()
    assert before.keys["encoder"] == after.keys["encoder"]
    assert before.id != after.id
    assert forwards == []


def test_a_corrected_line_of_a_csv_changes_the_record_and_embeds_nothing(root, forwards):
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    lines = [f"{name},{name[:3]}" for name in names]
    (root / "metadata.csv").write_text("path,label\n" + "\n".join(lines))
    before = record_of()
    forwards.clear()
    lines[4] = lines[4].replace(",ant", ",cat")
    (root / "metadata.csv").write_text("path,label\n" + "\n".join(lines))
    assert record_of().id != before.id
    assert forwards == []


@pytest.mark.parametrize("options", ["seed=1", "val=0.3", "test=0.3"])
def test_another_split_changes_the_record_and_embeds_nothing(root, forwards, options):
    before = record_of()
    forwards.clear()
    after = record_of(data=f"photos({options})")
    assert before.keys["encoder"] == after.keys["encoder"]
    assert before.id != after.id
    assert forwards == []


OF_IMAGES = {
    "label": lambda images: {"labels": 1 - images.labels},
    "class": lambda images: {"classes": ("x", "b")},
    "id": lambda images: {"ids": tuple(f"new {name}" for name in images.ids)},
    "group": lambda images: {"groups": images.ids},
}


@pytest.mark.parametrize("change", OF_IMAGES.values(), ids=OF_IMAGES)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_each_word_about_an_image_is_part_of_the_record_and_not_of_the_embedding(forwards, change, split):
    data = toy_data()
    before = record_of(data=data)
    forwards.clear()
    changed = data | {split: dataclasses.replace(data[split], **change(data[split]))}
    assert changed[split].pixels_key == data[split].pixels_key
    assert record_of(data=changed).id != before.id
    assert forwards == []


def test_the_name_of_the_parent_folder_changes_nothing(root, forwards):
    before = record_of()
    root.rename(root.with_name("the same photos"))
    forwards.clear()
    after = record_of(data="the same photos")
    assert (before.id, before.keys) == (after.id, after.keys)
    assert forwards == []


def test_a_copy_of_the_folder_is_the_same_data(root, forwards):
    before = record_of()
    shutil.copytree(root, root.with_name("copy"))
    forwards.clear()
    assert record_of(data="copy").id == before.id
    assert forwards == []


@pytest.mark.parametrize(
    "flags", [{"batch_size": 5}, {"workers": 1}, {"device": "cpu"}, {"batch_size": 1, "workers": 3, "device": "cpu"}]
)
def test_how_the_work_is_done_changes_nothing(root, forwards, flags, tmp_path):
    spec = f"timm:test_vit({VIT})"
    before = record_of(spec, precision="fp32")
    forwards.clear()
    after = record_of(spec, precision="fp32", redo=True, **flags)
    assert (before.id, before.keys) == (after.id, after.keys)
    assert forwards == []
    elsewhere = record_of(spec, precision="fp32", redo=True, cache_dir=tmp_path / "fresh", **flags)
    assert elsewhere.id == before.id
    assert sum(forwards) == 24
    values = [[measure.value for measure in record.measures] for record in (before, elsewhere)]
    assert np.allclose(*values)


def test_where_the_cache_lies_changes_nothing(root, tmp_path):
    assert record_of(cache_dir=tmp_path / "one").id == record_of(cache_dir=tmp_path / "two").id


def test_the_precision_of_a_network_is_part_of_its_key():
    with using(precision="fp32"):
        stated = key_of()
    assert key_of() == stated  # on a machine without a GPU
    with using(precision="bf16"):
        assert key_of() != stated


def test_the_precision_is_no_part_of_an_encoder_without_a_network():
    keys = set()
    for precision in ("fp32", "bf16"):
        with using(precision=precision):
            keys.add(load_encoder(bind("encoders", "pixels")).key)
    assert len(keys) == 1


def test_a_key_that_is_remembered_is_the_key_that_was_computed():
    assert key_of() == key_of()
    with using(cache_dir="another cache"):
        fresh = key_of()
    assert fresh == key_of()


def test_the_options_of_a_task_are_part_of_the_record_however_they_are_written(root):
    ids = {text: record_of(task=text).id for text in ("knn(k=1)", "knn(k=(1,))", "knn(k=3)", "knn(k=1, version=2)")}
    assert ids["knn(k=1)"] == ids["knn(k=(1,))"]
    assert len(set(ids.values())) == 3


def test_a_plugin_that_is_edited_makes_new_results(root, write_plugin, forwards):
    texts = (PLUGIN, PLUGIN, PLUGIN + "\n# changed\n")
    ids = [record_of("tint", plugins=[write_plugin(text)]).id for text in texts]
    assert ids[0] == ids[1] != ids[2]
    assert sum(forwards) == 48


def test_an_encoder_object_is_its_key(forwards):
    data = toy_data()
    before = record_of(plain_encoder(key="mine"), data)
    forwards.clear()
    assert record_of(plain_encoder(key="mine"), data).id == before.id
    assert forwards == []
    assert record_of(plain_encoder(key="yours"), data).id != before.id
    assert sum(forwards) == 36


def test_a_limited_run_embeds_no_more_images_than_it_has(tmp_path, forwards):
    for split, n in (("train", 30), ("test", 9)):
        photos(tmp_path / "stated" / split, n=n, first_seed=100 * n)
    ec.run(encoder=["pixels(size=4)"], data=[str(tmp_path / "stated")], task=["knn(k=1)"], limit=8, out="limited")
    assert sum(forwards) == 3 * 8  # not the whole of train, of which val was drawn


def test_a_limited_run_is_another_record(root):
    assert record_of(limit=6).id != record_of().id
    assert record_of(limit=1000).id == record_of().id


AGAIN = """
import sys
import eyechart as ec

encoders = ["pixels(size=4)", "timm:test_vit(pretrained=False, size=32)", 'concat(parts=("pixels(size=4)", "noise"))']
out = ec.run(encoder=encoders, data=["photos"], task=["knn(k=1)", "linear"], out="out")
assert not out.failures, out.failures
print(out.computed, *(name for name in ("torch", "timm", "sklearn", "pandas", "cv2") if name in sys.modules))
"""


def test_a_finished_study_is_not_computed_again_and_imports_nothing_heavy(root):
    assert output_of(AGAIN).split()[0] == "6"
    assert output_of(AGAIN) == "0"
