import ast

import pytest

from eyechart.signatures import Option, conform, functions, names_in
from samples import refuses

SOURCE = '''
"""A plugin."""
import eyechart as ec
from typing import Literal
from eyechart import Case, DataSpec, Encoder, EncoderSpec, FilePath, Measure

HEADLINE = {"metric": "accuracy"}
lower = 1
COMPUTED = len("abc")


def enc(
    path: FilePath,
    *,
    ratio: float = 0.5,
    count: int = 3,
    flag: bool = False,
    text: str = "a",
    mode: Literal["x", "y"] = "x",
    only: Literal["z"] = "z",
    bits: Literal[8, 1] = 8,
    many: tuple[int, ...] = (1, 2),
    parts: tuple[EncoderSpec, ...] = (),
    three: tuple[float, float, float] | None = None,
    size: int | None = None,
    extra: dict | None = None,
    typed: dict[str, int] = {},
    free=7,
    dotted: ec.FilePath | None = None,
) -> Encoder:
    """First line.

    More.
    """


def task(case: Case, *, version: int = 1) -> "Iterator[Measure]": ...


def dotted(case: ec.Case, *, k: tuple[int, ...] = (1,)) -> "Iterator[ec.Measure]": ...


def _hidden() -> Encoder: ...
'''


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "plugin.py"
    path.write_text(SOURCE)
    return functions(path)


@pytest.fixture
def option(read):
    options = {option.name: option for option in read[0]["enc"].options}
    return options.__getitem__


def test_public_functions_and_literal_constants_are_found_without_running_the_file(read):
    found, constants = read
    assert list(found) == ["enc", "task", "dotted"]
    assert constants == {"HEADLINE": {"metric": "accuracy"}}


def test_a_function_is_described_by_its_source(read):
    enc = read[0]["enc"]
    assert enc.doc.splitlines() == ["First line.", "", "More."]
    assert (enc.argument, enc.argument_required, enc.argument_is_path) == ("path", True, True)
    assert enc.returns == "Encoder"
    assert enc.source.startswith("def enc(")
    assert [o.default for o in enc.options][:4] == [0.5, 3, False, "a"]


@pytest.mark.parametrize("name", ["task", "dotted"])
def test_a_case_is_no_argument_however_it_is_imported(read, name):
    assert read[0][name].argument is None
    assert not read[0][name].argument_required


def test_names_of_eyechart_count_however_they_are_imported(option):
    assert "FilePath" in names_in(option("dotted").annotation)
    assert "EncoderSpec" in names_in(option("parts").annotation)


FITS = [
    ("ratio", 1, 1.0),
    ("ratio", 0.25, 0.25),
    ("count", 5, 5),
    ("flag", True, True),
    ("text", "5", "5"),
    ("mode", "y", "y"),
    ("only", "z", "z"),
    ("bits", 1, 1),
    ("many", 5, (5,)),
    ("many", (5, 7), (5, 7)),
    ("parts", "pixels", ("pixels",)),
    ("three", (0, 0.5, 1), (0.0, 0.5, 1.0)),
    ("three", None, None),
    ("size", 8, 8),
    ("size", None, None),
    ("extra", {"a": 1}, {"a": 1}),
    ("extra", None, None),
    ("typed", {"a": 1}, {"a": 1}),
    ("free", "anything", "anything"),
    ("dotted", "a.pth", "a.pth"),
    ("parts", (), ()),
]


@pytest.mark.parametrize(("name", "value", "fitted"), FITS)
def test_a_value_is_given_as_the_annotation_wants_it(option, name, value, fitted):
    got = conform(option(name), value, "enc")
    assert got == fitted
    assert type(got) is type(fitted)


MISFITS = [
    ("ratio", "1", "a number"),
    ("ratio", True, "a number"),
    ("count", 2.0, "a whole number"),
    ("count", True, "a whole number"),
    ("count", None, "a whole number"),
    ("flag", 1, "True or False"),
    ("text", 5, "a quoted text"),
    ("mode", "z", 'one of "x", "y"'),
    ("only", "x", 'one of "z"'),
    ("bits", 8.0, "one of 8, 1"),
    ("bits", True, "one of 8, 1"),
    ("many", (), "such as"),
    ("many", (1, "2"), "such as"),
    ("many", (1, 2.5), "such as"),
    ("parts", 5, "such as"),
    ("three", (1.0, 2.0), "3 numbers"),
    ("three", 0.5, "or None"),
    ("size", "8", "a whole number or None"),
    ("extra", 3, "{"),
    ("dotted", 3, "a quoted path or None"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), MISFITS)
def test_a_value_the_annotation_does_not_allow_is_refused_in_one_line(option, name, value, allowed):
    with refuses("enc", name, allowed):
        conform(option(name), value, "enc")


@pytest.mark.parametrize("default", ["", " = None or 3", " = compute()"])
def test_an_option_without_a_literal_default_is_refused(tmp_path, default):
    path = tmp_path / "plugin.py"
    path.write_text(f"def enc(*, k: int{default}) -> Encoder: ...")
    with refuses("plugin.py", "option k of enc", "literal default"):
        functions(path)


@pytest.mark.parametrize("content", [b"def f(:", b"\xff\xfe\x00", b"x = 1\n  y = 2"])
def test_a_file_that_is_no_python_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "plugin.py"
    path.write_bytes(content)
    with refuses("plugin.py", "no Python"):
        functions(path)


@pytest.mark.parametrize(
    ("annotation", "allowed"),
    [
        ('tuple[Literal["x", "y"], ...]', 'must be one or more of "x", "y"; got'),
        ("tuple[int, ...]", "must be one or more whole numbers such as (1, 5); got"),
        ('tuple[float, ...] | Literal["auto"]', 'must be one or more numbers such as (0.1, 1.0) or one of "auto"; got'),
        ("tuple[int, int, int]", "must be 3 whole numbers in parentheses; got"),
        ("tuple[DataSpec, ...]", 'must be one or more quoted specs such as ("digits", "cifar10"); got'),
        ("tuple[int, str]", "must be values in parentheses: a whole number, a quoted text; got"),
    ],
)
def test_what_a_tuple_may_hold_is_said_in_words(annotation, allowed):
    with refuses(allowed):
        conform(Option("many", (), ast.parse(annotation, mode="eval").body), None, "plugin")
