"""What is known of published weights: the cards, whom they belong to, and what encoders have met before."""

import json
import logging
import re

import pytest

import eyechart as ec
from eyechart import cards, settings
from eyechart.registry import aliases, bind, entries
from eyechart.results.leaderboard import labels
from eyechart.results.seen import seen
from samples import output_of, photos, refuses
from simulated import dataset, predictions, put

CARDS = cards.cards()
HEAVY = ("torch", "timm", "torchvision", "open_clip", "transformers", "pandas", "numba")


def names_of(spec):
    return [card.name for card in cards.cards_of(bind("encoders", spec).text)]


def met(encoder, data, task="knn()"):
    return cards.overlaps([(encoder, bind("encoders", encoder).text, data, task)])


# -- the files -------------------------------------------------------------------------------------------------------


def test_every_friendly_name_binds_and_has_a_card():
    assert list(CARDS) == list(aliases())
    for name, card in CARDS.items():
        assert bind("encoders", name).label == name
        assert names_of(name) == [name]
        assert card.spec == aliases()[name]


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_says_all_that_can_be_said(card):
    assert card.parameters > 0
    assert 0 < card.crop_pct <= 1
    assert (len(card.mean), len(card.std)) == (3, 3)
    assert card.license
    trained = "pretrained=False" not in card.spec
    assert all((card.paper, card.cite, card.year, card.corpus, card.images, card.download)) == trained
    assert card.family == "random weights" or trained


def test_what_families_share_stands_once_and_everything_is_used():
    shared = cards._shared()
    named = {table["family"] for table in cards.alias_tables().values()}
    assert set(shared["families"]) == named
    families = shared["families"].values()
    assert set(shared["corpora"]) == {family["data"] for family in families if "data" in family}
    assert set(shared["papers"]) == {key for family in families for key in family.get("papers", ())}
    for name, own in cards.alias_tables().items():
        family = shared["families"][own["family"]]
        assert not {field for field in own.keys() & family.keys() if own[field] == family[field]}, name


def test_labels_name_images_that_are_known():
    assert {card.labels for card in CARDS.values()} == {"none", "ImageNet-1k", "ImageNet-22k"}
    for card in CARDS.values():
        assert bool(card.labeled) == (card.labels != "none")
        assert set(card.labeled) <= set(card.trained_on)


def test_what_was_trained_with_labels_says_so():
    supervised = {name for name, card in CARDS.items() if card.labels != "none"}
    assert {"vit_b16", "resnet50", "swin_t", "convnext_tiny", "efficientnet_b0", "beit_b16_ft22k"} <= supervised
    assert not supervised & {"dinov2_b14", "dino_s16", "mae_b", "beit_b16", "data2vec_b16", "clip_b16", "siglip2_b16"}
    assert CARDS["beit_b16"].objective != CARDS["beit_b16_ft22k"].objective


@pytest.mark.parametrize("paper", cards.papers().values(), ids=cards.papers())
def test_bibtex_is_balanced_and_dated_by_arxiv(paper):
    entry = paper.bibtex
    assert entry.count("{") == entry.count("}")
    found = dict(re.findall(r"  (\w+) = \{(.*)\},\n", entry))
    assert entry.startswith((f"@inproceedings{{{paper.key},", f"@misc{{{paper.key},"))
    assert found["title"] == f"{{{paper.title}}}"
    assert re.fullmatch(r"\d{4}\.\d{4,5}", found["eprint"])
    assert all(", " in author for author in found["author"].split(" and "))
    assert 0 <= paper.year - paper.appeared <= 1  # published in the year it appeared, or in the next
    assert paper.key.startswith(found["author"].partition(",")[0].lower().replace("é", "e"))


def test_the_year_is_that_in_which_the_first_paper_appeared():
    assert (CARDS["dino_s16"].year, CARDS["mae_b"].year, CARDS["resnet50"].year) == (2021, 2021, 2021)
    assert CARDS["resnet50"].bibtex.count("@") == 2


# -- without building ------------------------------------------------------------------------------------------------


def test_cards_are_shown_without_a_heavy_library():
    code = f"""
import sys
import eyechart as ec
listed = {{row["name"]: row["about"] for row in ec.listing("encoders")}}
assert "22.1 M parameters" in listed["dinov2_s14"] and "Apache-2.0" in listed["dinov2_s14"]
shown = ec.describe("encoder", "dinov2_g14")
assert shown["card"]["dim"] == 1536 and "oquab2023dinov2" in shown["bibtex"]
print(*(name for name in {HEAVY} if name in sys.modules))
"""
    assert output_of(code) == ""


def test_show_prints_a_card_and_downloads_nothing(eyechart):
    shown = json.loads(eyechart("show", "encoder", "clip_b16(size=336)", "--json")[1])
    assert shown["card"]["license"] == "MIT"
    assert shown["card"]["labels"] == "none"
    assert "size=336" in shown["spec"]
    code, out, _ = eyechart("show", "encoder", "vit_b16")
    assert code == 0
    assert "labels: ImageNet-1k" in out


WHAT_NEEDS_MORE = [
    *(("encoder", name) for name in ("quantize", "reduce", "whiten", "multiscale", "concat")),
    *(("encoder", name) for name in ("onnx", "hf", "timm", "open_clip", "torchvision", "checkpoint", "precomputed")),
    *(("dataset", name) for name in ("folder", "webdataset", "hf_dataset", "subset", "pair", "union")),
]


@pytest.mark.parametrize(("kind", "name"), WHAT_NEEDS_MORE)
def test_a_bare_name_that_needs_more_is_shown_as_it_can_be_called(kind, name, eyechart):
    entry = entries(f"{kind}s")[name]
    shown = json.loads(eyechart("show", kind, name, "--json")[1])
    assert shown["spec"] in (name, f"{name}:{(entry.function.argument or '').upper()}")
    assert list(shown["options"]) == [option.name for option in entry.function.options]
    assert shown["about"] == entry.function.doc


def test_options_are_shown_with_what_they_may_be_and_their_defaults(eyechart):
    code, out, _ = eyechart("show", "encoder", "quantize")
    assert code == 0
    assert "spec: quantize\n" in out
    assert "  bits: Literal[16, 8, 4, 1] = 8\n" in out
    assert "The embeddings of an encoder with so many bits" in out
    assert '  groups: Literal["set", "own"] = "set"\n' in eyechart("show", "dataset", "union")[1]


def test_an_encoder_that_needs_no_download_is_shown_with_its_key():
    assert ec.describe("encoder", "random_vit")["dim"] == CARDS["random_vit"].dim


def test_a_dry_run_says_licenses_and_sizes(caplog, tmp_path):
    with caplog.at_level(logging.INFO):
        ec.dry_run(encoder=["dinov3_s16"], data=["digits"], task=["knn"], out=tmp_path, limit=20)
    assert "dinov3_s16: DINOv3 ViT-S/16, self-distillation; DINOv3-License; 86 MB if not downloaded yet" in caplog.text


# -- whose card ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("timm:vit_base_patch14_dinov2.lvd142m", ["dinov2_b14"]),
        ('dinov2_b14(size=98, pool="mean", mean=(0.5, 0.5, 0.5))', ["dinov2_b14"]),
        ("dinov2_b14(pretrained=False)", []),
        ('dinov2_b14(weights="mine.pth")', []),
        ("resnet50(model_args={})", ["resnet50"]),
        ('dino_b16(layer=-2, model_args={"dynamic_img_size": True, "img_size": 96})', ["dino_b16"]),
        ('dino_b16(model_args={"depth": 6})', []),
        ("timm:resnet50", ["resnet50"]),
        ("timm:resnet50(pretrained=False)", []),
        ("timm:resnet50.tv_in1k", []),
        ("torchvision:vit_b_16(size=384)", ["vit_b16"]),
        ("timm:convnext_tiny", []),  # timm's default are other weights than the card's
        ('clip_b16(activation="quickgelu")', ["clip_b16"]),
        ('openclip_b16(activation="gelu")', ["openclip_b16"]),
        ('openclip_b16(activation="quickgelu")', []),
        ('clip_b16(activation="gelu")', ["clip_b16_gelu"]),
        ('clip_b16_gelu(activation="quickgelu")', ["clip_b16"]),
        ("clip_b16(project=False)", ["clip_b16"]),
        ('concat("dinov2_b14", "resnet50", "hog")', ["dinov2_b14", "resnet50"]),
        ('concat("dinov2_b14", "dinov2_b14(size=98)")', ["dinov2_b14"]),
        ("hog", []),
    ],
)
def test_a_card_belongs_to_the_weights_however_they_are_named(spec, found):
    assert names_of(spec) == found


@pytest.mark.parametrize("text", ["my encoder (2)", "", "x(", "nobody:knows(size=3)"])
def test_an_encoder_made_in_python_has_no_card(text):
    assert cards.cards_of(text) == ()


def test_groups_are_what_a_field_says():
    said = [cards.group_of(bind("encoders", spec).text, "objective") for spec in ("mae_b", "hog", "beit_b16")]
    assert said == ["masked images", "(none)", "masked images"]
    assert cards.group_of(bind("encoders", "random_vit").text, "objective") == "none"
    assert cards.group_of(bind("encoders", "random_vit").text, "year") == "(none)"
    assert cards.group_of(bind("encoders", "mae_b").text, "parameters") == "85.8"
    assert cards.group_of(bind("encoders", "clip_b16").text, "trained_on") == "(none)"
    both = 'concat("mae_b", "dino_b16", "data2vec_b16")'
    assert cards.group_of(bind("encoders", both).text, "objective") == "masked images + self-distillation"


def test_an_unknown_field_is_answered_with_those_there_are():
    with refuses(
        "by: cards of encoders have no field 'objectiv'.", "Did you mean objective?", "family, backbone, year"
    ):
        cards.check_field("objectiv")
    for field in cards.fields():
        cards.check_field(field)
        assert cards.group_of(bind("encoders", "mae_b").text, field)


# -- met before ------------------------------------------------------------------------------------------------------


def test_an_encoder_that_was_trained_on_what_it_is_tested_on_is_named():
    assert met("resnet50", "imagenet()") == [
        "imagenet: images of imagenet are in the training data of resnet50 (ImageNet-1k, with labels)"
    ]
    assert met("dino_s16", "imagenet()") == [
        "imagenet: images of imagenet are in the training data of dino_s16 (ImageNet-1k, without labels)"
    ]
    assert "beit_b16_ft22k (ImageNet-22k, with labels)" in met("beit_b16_ft22k", "imagenet()")[0]


def test_images_that_were_picked_for_their_likeness_are_told_from_the_same_images():
    (line,) = met("dinov2_s14", bind("datasets", "food101").text)
    assert line == (
        "food101: images picked from the web for their likeness to those of food101 are in the training data of "
        "dinov2_s14 (LVD-142M)"
    )
    assert met("dino_s16", bind("datasets", "food101").text) == []


@pytest.mark.parametrize("encoder", ["clip_b16", "hog", "random_vit", "resnet50(pretrained=False)"])
def test_where_nothing_is_known_nothing_is_said(encoder):
    assert met(encoder, "imagenet()") == []


def test_of_a_folder_nothing_is_said(tmp_path):
    assert met("resnet50", bind("datasets", f"folder:{photos(tmp_path / 'imagenet', n=1)}").text) == []


def test_data_sets_name_those_whose_images_they_are_made_of():
    found = {name: entry.constants.get("PART_OF") for name, entry in entries("datasets").items()}
    stated = {name: sources for name, sources in found.items() if sources}
    imagenets = dict.fromkeys(("stl10", "imagenette", "pacs", "tiny_imagenet", "imagenet_c"), ("imagenet",))
    assert stated == {**imagenets, "cifar10c": ("cifar10",), "cifar100c": ("cifar100",)}


def test_what_the_images_of_dinov2_and_dinov3_came_from_is_known():
    # LVD-142M: table 15 of the DINOv2 paper; LVD-1689M: section 3.1 of the DINOv3 paper
    assert CARDS["dinov2_b14"].trained_on == ("imagenet",)
    assert CARDS["dinov3_b16"].trained_on == ("imagenet",)
    assert {"food101", "cifar10"} & set(CARDS["dinov2_b14"].resembles) == {"food101"}


def test_a_download_is_about_four_bytes_for_each_parameter():
    for card in CARDS.values():
        if card.download:
            assert 3.8 <= card.download / card.parameters <= 17, card.name


MADE_OF = '''
from eyechart import DataSpec, Dataset

PART_OF = ("imagenet",)


def bits(*, n: int = 2) -> Dataset:
    """Some of its images."""
    raise NotImplementedError


def half(*, of: DataSpec = "bits") -> Dataset:
    """Half of another set."""
    raise NotImplementedError
'''


def test_sets_made_of_others_and_nested_ones_are_traced_back(write_plugin):
    with settings.using(plugins=(write_plugin(MADE_OF),)):
        assert met("resnet50", "bits(n=2)") == [
            "bits: images of imagenet, a source of bits, are in the training data of resnet50 "
            "(ImageNet-1k, with labels)"
        ]
        found = met("resnet50", 'half(of="bits(n=2)")')
        assert [line.partition(":")[0] for line in found] == ["half", "bits"]


TASK = """
from collections.abc import Iterator
from eyechart import Case, DataSpec, Measure


def elsewhere(case: Case, *, on: DataSpec = "imagenet()", version: int = 1) -> Iterator[Measure]: ...
"""


def test_the_data_that_a_task_reads_count_too(write_plugin):
    assert met("resnet50", "digits()", bind("tasks", "knn").text) == []
    with settings.using(plugins=(write_plugin(TASK),)):
        (line,) = met("resnet50", "digits()", 'elsewhere(on="imagenet()", version=1)')
    assert line.startswith("imagenet: images of imagenet are in")


def test_encoders_that_met_the_same_images_share_a_line():
    several = ("resnet50", "dinov2_s14", "mae_b", "hog")
    lines = cards.overlaps([(one, bind("encoders", one).text, "imagenet()", "knn()") for one in several])
    assert lines == [
        "imagenet: images of imagenet are in the training data of resnet50 (ImageNet-1k, with labels), "
        "dinov2_s14 (LVD-142M, without labels), mae_b (ImageNet-1k, without labels)"
    ]


def bound(encoder, data="imagenet()"):
    return {"encoder": bind("encoders", encoder).text, "data": data, "task": "knn()", "limit": None}


@pytest.fixture
def records(tmp_path):
    import numpy as np

    out = tmp_path / "run"
    splits = {split: np.arange(40) % 2 for split in ("train", "val", "test")}
    data = dataset(out, **splits)
    measures = [one for split in ("val", "test") for one in predictions(data, split, splits[split])]
    return [
        put(out, data, encoder, "knn", measures, label="imagenet", bound=bound(encoder))
        for encoder in ("resnet50", "hog")
    ]


def test_records_are_judged_by_the_cards_there_are_now(records, tmp_path):
    line = "imagenet: images of imagenet are in the training data of resnet50 (ImageNet-1k, with labels)"
    assert seen(records, labels(records)) == [line]
    (decision,) = ec.compare(tmp_path / "run").decisions
    assert line in decision.notes
    page = ec.report(tmp_path / "run").read_text()
    assert line in page


def test_a_table_names_them_on_the_side(records, tmp_path, eyechart, caplog):
    code, out, err = eyechart("table", tmp_path / "run", "--csv")
    assert code == 0
    assert "images of imagenet" in err + caplog.text
    assert "images of imagenet" not in out


PLUGIN = (
    MADE_OF.replace("raise NotImplementedError", "return made()")
    + """

def made():
    import numpy as np
    from eyechart import from_arrays

    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    return {split: from_arrays(pixels, np.arange(12) % 2, classes=("a", "b"), ids=[f"{split}-{i}" for i in range(12)])
            for split in ("train", "val", "test")}
"""
)


def test_a_run_says_it_before_it_starts(write_plugin, caplog, tmp_path):
    plugin = write_plugin(PLUGIN)
    with caplog.at_level(logging.INFO):
        out = ec.run(encoder=["resnet50", "pixels"], data=["bits"], task=["knn(k=1)"], plugins=(plugin,), out=tmp_path)
    assert len(out.failures) == 1  # its weights cannot be had here
    said = [record.getMessage() for record in caplog.records]
    first = next(place for place, line in enumerate(said) if "a source of bits" in line)
    assert first < next(place for place, line in enumerate(said) if line.startswith("knn"))
    assert not any("a source of" in note for record in out.records for note in record.notes)
