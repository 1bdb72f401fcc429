from pathlib import Path

import pytest

import eyechart
from eyechart import settings
from eyechart.registry import KINDS, bind, entries
from eyechart.specs import written
from samples import PLUGIN, output_of, photos, refuses

PACKAGE = Path(eyechart.__file__).parent
HEAVY = ("torch", "timm", "sklearn", "cv2", "pandas", "torchvision")
LOADED = f"import sys; print(*(name for name in {HEAVY} if name in sys.modules))"


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_are_those_of_the_files(kind):
    files = {path.stem for path in (PACKAGE / kind).glob("*.py") if not path.name.startswith("_")}
    assert files
    assert set(entries(kind)) == files
    assert list(entries(kind)) == sorted(files)


def test_listing_and_binding_import_no_heavy_library():
    code = """
from eyechart.registry import KINDS, bind, entries
described = [(e.name, e.function.doc, e.function.options) for kind in KINDS for e in entries(kind).values()]
assert len(described) > 6
bind("encoders", 'concat(parts=("pixels", "dinov2_s14", "timm:resnet50"))').text
bind("tasks", "linear").text
bind("datasets", "digits").text
"""
    assert output_of(code + LOADED) == ""


def test_the_check_for_heavy_libraries_can_fail():
    code = "from eyechart.registry import bind\nbind('tasks', 'knn').entry.load()\nimport pandas\n"
    assert output_of(code + LOADED) == "pandas"


def test_every_default_is_filled_in():
    bound = bind("tasks", "knn(k=7)")
    assert (bound.options["k"], bound.options["distance"], bound.options["version"]) == ((7,), "default", 1)
    assert bound.text == (
        'knn(k=(7,), votes="uniform", temperature=0.07, distance="default", normalize=False, database="train", '
        "leave_one_out=False, version=1)"
    )
    assert bound.label == "knn(k=(7,))"


def test_a_bound_text_binds_to_itself():
    for kind, text in (("tasks", "linear(c=1)"), ("encoders", "concat"), ("encoders", "dinov2_b14(size=98)")):
        once = bind(kind, text)
        assert bind(kind, once.text).text == once.text


@pytest.mark.parametrize(
    ("kind", "text", "near"),
    [
        ("encoders", "pixel", "Did you mean pixels?"),
        ("encoders", "dinov2_b15", "dinov2_b14"),
        ("datasets", "digit", "Did you mean digits?"),
        ("tasks", "lineer", "Did you mean linear?"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(kind, text, near):
    with refuses("is called", near, f"eyechart list {kind}"):
        bind(kind, text)


def test_capitals_do_not_hide_what_was_meant():
    with refuses("no encoder is called 'DINOV2_S14'. Did you mean dinov2_s14 or"):
        bind("encoders", "DINOV2_S14")


def test_a_name_like_no_other_gets_no_hint():
    with refuses("qqqqqqqqqqqq", "`eyechart list tasks`") as caught:
        bind("tasks", "qqqqqqqqqqqq")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("resnet34", "timm:resnet34"),  # although an alias, resnet50, is spelt much the same
        ("vit_base_patch16_224.mae", "timm:vit_base_patch16_224.mae"),
        ("mobilenetv2100", "timm:mobilenetv2_100"),
    ],
)
def test_a_name_of_timm_is_answered_with_its_spec(text, near):
    with refuses(near):
        bind("encoders", text)


def test_a_misspelt_option_is_answered_with_the_nearest_and_all_there_are():
    with refuses("knn has no option 'distanse'", "Did you mean distance?", "k, votes, temperature, distance"):
        bind("tasks", 'knn(distanse="cosine")')


def test_a_value_that_is_not_allowed_is_refused():
    with refuses("knn: distance must be one of", "manhattan"):
        bind("tasks", 'knn(distance="manhattan")')


def test_a_missing_argument_is_named():
    for text in ("timm", "timm:", "timm(size=32)"):
        with refuses("timm needs its name after a colon", "timm:NAME"):
            bind("encoders", text)


def test_an_argument_that_means_nothing_is_refused():
    with refuses("pixels takes nothing after a colon", "16"):
        bind("encoders", "pixels:16")


def test_nested_specs_are_bound_and_checked():
    bound = bind("encoders", 'concat(parts=("pixels", "noise(dim=8)"))')
    assert bound.options["parts"] == ("pixels(size=16, version=1)", "noise(dim=8, version=1)")
    assert bound.label == 'concat(parts=("pixels", "noise(dim=8)"))'
    assert bound.nested("encoders") == {"parts": bound.options["parts"]}
    assert bound.nested("datasets") == {}
    with refuses("pixls", "pixels"):
        bind("encoders", 'concat(parts=("pixls", "noise"))')
    with refuses("noise has no option 'dims'"):
        bind("encoders", 'concat(parts=("pixels", "noise(dims=8)"))')


def test_an_alias_stands_for_its_spec_and_keeps_its_name_for_people():
    bound = bind("encoders", "dinov2_s14(size=98)")
    assert bound.name == "timm"
    assert bound.argument == "vit_small_patch14_dinov2.lvd142m"
    assert bound.options["size"] == 98
    assert bound.label == "dinov2_s14(size=98)"
    spelt_out = bind("encoders", "timm:vit_small_patch14_dinov2.lvd142m(size=98)")
    assert bound.text == spelt_out.text


def test_an_existing_path_alone_means_a_folder(tmp_path):
    photos(tmp_path / "my photos (2024)", n=1)
    for text in ("my photos (2024)", "./my photos (2024)", str(tmp_path / "my photos (2024)")):
        bound = bind("datasets", text)
        assert (bound.name, bound.argument) == ("folder", text)
    assert bind("datasets", "my photos (2024)(val=0.1)").options["val"] == 0.1


def test_the_name_of_a_data_set_wins_over_a_folder_of_that_name(tmp_path):
    (tmp_path / "digits").mkdir()
    assert bind("datasets", "digits").name == "digits"
    assert bind("datasets", "./digits").name == "folder"


def test_a_path_that_is_not_there_is_named():
    with refuses("there is no folder /no/such/place"):
        bind("datasets", "/no/such/place")
    with refuses("photos", "no such folder"):
        bind("datasets", "photos")


def test_a_plugin_file_adds_what_its_functions_say_they_return(write_plugin):
    path = write_plugin(
        "from collections.abc import Iterator\n"
        "from eyechart import Case, Dataset, Derived, EncoderSpec, Measure\n"
        + PLUGIN
        + """
def set_of_mine(*, n: int = 4) -> "ec.Dataset": ...
def test_of_mine(case: Case, *, version: int = 1) -> Iterator[Measure]: ...
def both(*, parts: tuple[EncoderSpec, ...] = ()) -> Derived: ...
def helper(x: int) -> int: ...
def _private() -> Encoder: ...
"""
    )
    assert "tint" not in entries("encoders")
    with settings.using(plugins=(path,)):
        assert {"tint", "both", "pixels"} <= set(entries("encoders"))
        assert "set_of_mine" in entries("datasets")
        assert "test_of_mine" in entries("tasks")
        everything = {name for kind in KINDS for name in entries(kind)}
        assert not everything & {"helper", "_private"}
        assert bind("encoders", "tint(gain=2)").call().dim == 3
    with refuses("tint"):
        bind("encoders", "tint")


def test_listing_a_plugin_file_does_not_run_it(write_plugin, tmp_path):
    path = write_plugin(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n" + PLUGIN)
    with settings.using(plugins=(path,)):
        assert bind("encoders", "tint").options == {"gain": 1.0, "version": 1}
        assert not (tmp_path / "ran").exists()
        bind("encoders", "tint").call()
        assert (tmp_path / "ran").exists()


def test_an_edited_plugin_file_is_read_again(write_plugin):
    path = write_plugin(PLUGIN)
    with settings.using(plugins=(path,)):
        before = bind("encoders", "tint")
        write_plugin(PLUGIN.replace("gain: float = 1.0", "gain: float = 3.0"))
        after = bind("encoders", "tint")
    assert (before.options["gain"], after.options["gain"]) == (1.0, 3.0)
    assert before.entry.source_hash != after.entry.source_hash


def test_a_plugin_that_breaks_while_it_is_imported_can_be_mended(write_plugin):
    with settings.using(plugins=(write_plugin(PLUGIN + "\n1 / 0\n"),)), pytest.raises(ZeroDivisionError):
        bind("encoders", "tint").call()
    with settings.using(plugins=(write_plugin(PLUGIN),)):
        assert bind("encoders", "tint").call().dim == 3


def test_two_plugins_of_one_name_are_refused_with_both_places(write_plugin):
    first, second = write_plugin(PLUGIN, "one.py"), write_plugin(PLUGIN, "two.py")
    with settings.using(plugins=(first, second)), refuses("two encoders are called 'tint'", "one.py", "two.py"):
        entries("encoders")
    shadow = write_plugin(PLUGIN.replace("def tint", "def pixels"), "shadow.py")
    with settings.using(plugins=(shadow,)), refuses("two encoders are called 'pixels'", "shadow.py"):
        entries("encoders")


def test_a_plugin_file_that_is_not_there_is_named(tmp_path):
    with settings.using(plugins=(tmp_path / "gone.py",)), refuses("there is no plugin file", "gone.py"):
        entries("encoders")


def test_a_plugin_file_without_plugins_is_refused(write_plugin):
    with settings.using(plugins=(write_plugin("x = 1\n"),)), refuses("mine.py has no plugin", "Encoder"):
        entries("encoders")


def test_an_installed_package_adds_names_through_entry_points(tmp_path):
    site = tmp_path / "site"
    (site / "blobs-1.0.dist-info").mkdir(parents=True)
    (site / "blobs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: blobs\nVersion: 1.0\n")
    (site / "blobs-1.0.dist-info" / "entry_points.txt").write_text("[eyechart.encoders]\nblob = blobs.deep.made:tint\n")
    (site / "blobs" / "deep").mkdir(parents=True)
    (site / "blobs" / "__init__.py").write_text("raise RuntimeError('imported to be listed')")
    (site / "blobs" / "deep" / "__init__.py").write_text("")
    (site / "blobs" / "deep" / "made.py").write_text(PLUGIN)
    bound = "from eyechart.registry import bind; print(bind('encoders', 'blob(gain=2)').text)"
    assert output_of(bound, PYTHONPATH=site) == "blob(gain=2.0, version=1)"
    (site / "blobs" / "__init__.py").write_text("")
    called = "from eyechart.registry import bind; print(bind('encoders', 'blob').call().dim)"
    assert output_of(called, PYTHONPATH=site) == "3"


def test_a_spec_with_awkward_values_binds_to_itself(tmp_path):
    photos(tmp_path / "a(k=1)", n=1)
    bound = bind("datasets", written("folder", str(tmp_path / "a(k=1)"), {"seed": 3}))
    assert bound.argument == str(tmp_path / "a(k=1)")
    assert bind("datasets", bound.text) == bound


@pytest.mark.parametrize("text", ["knn(5)", "knn(k=5"])
def test_options_written_wrong_are_answered_with_how_to_write_them(text):
    with refuses(text, "name=value between parentheses"):
        bind("tasks", text)


def test_quoted_texts_fill_the_argument_and_then_the_options():
    assert bind("encoders", 'concat("pixels", "hog")').text == bind("encoders", 'concat(parts=("pixels", "hog"))').text
    assert bind("encoders", 'timm("resnet18", pretrained=False)').argument == "resnet18"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('concat("pixels", parts=("hog", "noise"))', "parts is given twice, by place and by name; leave one."),
        ('pixels("8")', "size must be a whole number"),
        ('mae_b("cls")', "mae_b takes options only as name=value"),
        ('noise("a", "b", "c", "d")', "noise has no place for"),
    ],
)
def test_quoted_texts_without_a_place_are_refused(text, said):
    with refuses(said):
        bind("encoders", text)
