import pytest

from eyechart.specs import Spec, is_name, literal, parse, written
from samples import refuses

READ = [
    ("knn", "knn", None, {}),
    (" knn ", "knn", None, {}),
    ("knn()", "knn", None, {}),
    ("knn(k=(1, 5))", "knn", None, {"k": (1, 5)}),
    ("knn(k=[1, 5])", "knn", None, {"k": (1, 5)}),
    ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k", {}),
    ('timm:resnet50(pool="mean", size=96)', "timm", "resnet50", {"pool": "mean", "size": 96}),
    ("folder:/photos (2024)", "folder", "/photos (2024)", {}),
    ("folder:/photos (2024)(val=0.1)", "folder", "/photos (2024)", {"val": 0.1}),
    ("folder:/my photos/a, b = c", "folder", "/my photos/a, b = c", {}),
    ("folder:/a=b/c,d(seed=3)", "folder", "/a=b/c,d", {"seed": 3}),
    ("folder:/fotografías/日本 🐈", "folder", "/fotografías/日本 🐈", {}),
    ('folder:"/odd(k=1)"', "folder", "/odd(k=1)", {}),
    ('folder:"/odd(k=1)"(val=0.1)', "folder", "/odd(k=1)", {"val": 0.1}),
    ("folder:' spaces '", "folder", " spaces ", {}),
    ("folder:C:/photos", "folder", "C:/photos", {}),
    ("folder:/unbalanced)", "folder", "/unbalanced)", {}),
    ("folder:/unbalanced(", "folder", "/unbalanced(", {}),
    (
        'concat(parts=("pixels", "hog(cells=8)"))',
        "concat",
        None,
        {"parts": ("pixels", "hog(cells=8)")},
    ),
    (
        'timm:a(model_args={"patch_size": 4, "depths": [1, 2]})',
        "timm",
        "a",
        {"model_args": {"patch_size": 4, "depths": (1, 2)}},
    ),
    ("x(a=None, b=True, c=-1.5)", "x", None, {"a": None, "b": True, "c": -1.5}),
]


@pytest.mark.parametrize(("text", "name", "argument", "options"), READ)
def test_a_spec_is_taken_apart(text, name, argument, options):
    assert parse(text) == Spec(name, argument, options)


@pytest.mark.parametrize(("text", "name", "argument", "options"), READ)
def test_a_spec_put_together_parses_back(text, name, argument, options):
    again = parse(written(name, argument, options))
    assert again == Spec(name, argument, options)


@pytest.mark.parametrize(
    "argument",
    [
        "",
        " leading",
        "trailing ",
        '"quoted"',
        "'",
        '"',
        "/a(k=1)",
        "/a()",
        "/a (1)",
        "a\tb",
        'say "hi" (twice="yes")',
        "back\\slash(k=1)",
        "naïve(k=1)",
        "()",
        "#(k=1)",
    ],
)
def test_any_argument_survives_being_written(argument):
    assert parse(written("folder", argument, {})) == Spec("folder", argument, {})
    assert parse(written("folder", argument, {"val": 0.25})) == Spec("folder", argument, {"val": 0.25})


@pytest.mark.parametrize("value", ["(b=1)#", "f(b=1)", '"', "'", "a\nb", ")", "(", "()#", "\\", "é(ö=1)"])
def test_any_text_in_an_option_survives_being_written(value):
    assert parse(written("x", None, {"a": value, "c": 2})) == Spec("x", None, {"a": value, "c": 2})


def test_an_option_that_is_no_literal_is_named_with_what_to_write():
    with refuses("pool", "mean", 'pool="mean"', "quoted"):
        parse("timm:resnet50(pool=mean)")


def test_code_in_an_option_is_never_executed(tmp_path):
    marker = tmp_path / "marker"
    with refuses("must be a literal"):
        parse(f"knn(k=__import__('pathlib').Path({str(marker)!r}).touch())")
    assert not marker.exists()


def test_an_option_given_twice_is_refused():
    with refuses("k", "twice"):
        parse("knn(k=1, k=5)")


def test_values_in_parentheses_are_no_options():
    assert parse("knn(5)").options == {}
    assert parse("knn(5)").name == "knn(5)"


def test_literals_are_written_in_one_way():
    assert literal(("a", 1.0, (2,), [3])) == '("a", 1.0, (2,), [3])'
    assert literal({"b": None, "a": "é"}) == '{"b": None, "a": "é"}'


def test_a_name_is_an_identifier():
    assert is_name("open_clip")
    assert not is_name("open-clip")
    assert not is_name("2d")
    assert not is_name("")


@pytest.mark.parametrize("value", ["1e999", "-1e999", "(1, 1e999)", '{"a": 1e999}'])
def test_numbers_without_end_are_refused(value):
    with refuses("x must be finite", "inf"):
        parse(f"knn(x={value})")


def test_quoted_texts_come_right_after_a_name():
    assert parse('reduce("hog(cells=8)", pca=64)') == Spec("reduce", None, {"pca": 64}, ("hog(cells=8)",))
    assert parse('pair("a", "b")').texts == ("a", "b")
    assert parse("/photos ('2024')") == Spec("/photos ('2024')", None, {})
    assert parse('folder:/photos ("a")').argument == '/photos ("a")'
    assert parse("knn(5)") == Spec("knn(5)", None, {})
