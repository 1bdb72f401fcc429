import pytest

from eyechart.registry import bind
from eyechart.study import Study, names, read_study
from samples import refuses


def written(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    return "mine.toml"


def test_a_study_is_lists_of_specs(tmp_path):
    text = 'about = "Ours."\nencoders = ["pixels", "noise"]\ndata = ["digits"]\ntasks = ["knn"]\nseeds = [1, 2]\n'
    assert read_study(written(tmp_path, text)) == Study(
        name="mine", about="Ours.", encoders=("pixels", "noise"), data=("digits",), tasks=("knn",), seeds=(1, 2)
    )


def test_what_a_study_does_not_say_has_a_default(tmp_path):
    study = read_study(written(tmp_path, 'tasks = ["knn"]'))
    assert study == Study(name="mine", about="", encoders=(), data=(), tasks=("knn",), seeds=(0,))
    assert not study.skip_unavailable


def test_every_study_that_is_shipped_can_be_read_and_bound():
    assert {"quickstart", "choose"} <= set(names())
    for name in names():
        study = read_study(name)
        assert study.about
        for kind, specs in (("encoders", study.encoders), ("datasets", study.data), ("tasks", study.tasks)):
            assert all(bind(kind, spec) for spec in specs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("encoders = [pixels]", ["no valid TOML", "quotes"]),
        ('encoders = ["pixels"', ["no valid TOML", "brackets"]),
        ('encoder = ["pixels"]', ["the field 'encoder'", "means nothing", "encoders"]),
        ('encoders = "pixels"', ["encoders must be a list of specs in quotes", "'pixels'"]),
        ("tasks = [1]", ["tasks must be a list of specs in quotes", "[1]"]),
        ("seeds = 3", ["seeds must be a list of one or more whole numbers", "got 3"]),
        ("seeds = []", ["seeds must be a list of one or more whole numbers", "got []"]),
        ('seeds = ["a"]', ["seeds must be a list", "['a']"]),
        ("seeds = [1.5]", ["seeds must be a list", "[1.5]"]),
        ("seeds = [true]", ["seeds must be a list", "[True]"]),
        ("about = 5", ["about must be a text", "got 5"]),
        ('skip_unavailable = "yes"', ["skip_unavailable must be true or false", "'yes'"]),
    ],
)
def test_a_study_that_is_wrong_is_refused_in_one_line(tmp_path, text, words):
    with refuses("mine.toml", *words):
        read_study(written(tmp_path, text))


def test_a_study_that_is_no_text_is_refused_in_one_line(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with refuses("mine.toml", "no valid TOML"):
        read_study("mine.toml")


def test_a_misspelt_study_is_answered_with_the_nearest_and_all_there_are():
    with refuses("no study is called 'quickstrat'", "Did you mean quickstart?", "choose", ".toml"):
        read_study("quickstrat")


def test_a_study_file_that_is_not_there_is_named():
    with refuses("there is no file gone.toml"):
        read_study("gone.toml")


def test_a_folder_for_a_study_is_answered_with_the_flag_for_images(tmp_path):
    with refuses(f"no study is called '{tmp_path}'", f"write --data {tmp_path}"):
        read_study(str(tmp_path))
