"""For all specs: what is written parses back, and what is bound binds to itself."""

import ast
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eyechart.registry import KINDS, bind, entries
from eyechart.specs import Spec, parse, written

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
spiky = st.text("()[]{}=,:#'\"\\ \n\tab1é", max_size=14)
names = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(lambda name: name.isidentifier())
keywords = names.filter(
    lambda name: name not in {"as", "if", "in", "is", "or", "and", "not", "for", "def", "del", "try"}
)
keywords = keywords.filter(lambda name: compiles(f"f({name}=1)"))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
literals = st.recursive(
    numbers | st.booleans() | st.none() | texts | spiky,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


def compiles(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@given(names, st.none() | texts | spiky, st.dictionaries(keywords, literals, max_size=3))
@settings(max_examples=300)
@example("folder", "/photos(k=1)", {})
@example("x", None, {"a": "(b=1)#", "c": 1})
def test_what_is_written_parses_back(name, argument, options):
    assert parse(written(name, argument, options)) == Spec(name, argument, options)


@given(spiky | texts)
@settings(max_examples=300)
def test_any_text_is_taken_apart_or_refused_and_comes_back(text):
    from eyechart.errors import EyechartError

    try:
        once = parse(text)
    except EyechartError as error:
        assert "\n" not in str(error).replace(text, "")
        return
    if once.name and ":" not in once.name and "(" not in once.name and not once.texts:
        assert parse(written(once.name, once.argument, once.options)) == once


def values_for(annotation, default):
    """Values that an annotation allows, made from its text."""
    text = ast.unparse(annotation)
    choices = {
        "int": st.integers(-5, 500),
        "float": st.floats(-10, 10) | st.integers(-5, 5),
        "bool": st.booleans(),
        "str": texts,
        "FilePath": texts.filter(bool),
        "dict": st.dictionaries(names, st.integers() | texts | st.booleans(), max_size=3),
        "EncoderSpec": st.sampled_from(["pixels", "noise(dim=8)", "dinov2_s14", 'timm:resnet18(pool="mean")']),
        "DataSpec": st.sampled_from(["digits", "digits(seed=3)"]),
        "DistanceName": st.sampled_from(["default", "cosine", "chi-square", "emd-legacy"]),
    }
    parts = []
    for part in map(str.strip, text.split("|")):
        inner = part.partition("[")[2].removesuffix("]")
        if part.startswith("Literal"):
            parts.append(st.sampled_from(ast.literal_eval(f"({inner},)")))
        elif part.startswith("tuple") and inner.endswith("..."):
            of = inner.removesuffix(", ...")
            allowed = of.removeprefix("Literal[").removesuffix("]")
            item = choices[of] if allowed == of else st.sampled_from(ast.literal_eval(f"({allowed},)"))
            parts += [st.lists(item, min_size=1, max_size=3).map(tuple), item]
        elif part.startswith("tuple"):
            parts.append(st.tuples(*(choices[one.strip()] for one in inner.split(","))))
        elif part == "None":
            parts.append(st.none())
        else:
            parts.append(choices[part.partition("[")[0].rpartition(".")[2]])
    return st.one_of(st.just(default), *parts)


def every_plugin():
    return [(kind, name) for kind in KINDS for name in entries(kind)]


@pytest.mark.parametrize(("kind", "name"), every_plugin())
def test_a_bound_spec_of_any_plugin_binds_to_itself(kind, name):
    function = entries(kind)[name].function
    all_options = st.fixed_dictionaries(
        {}, optional={option.name: values_for(option.annotation, option.default) for option in function.options}
    )

    @given(all_options, texts.filter(lambda text: text.strip()))
    @settings(max_examples=25)
    def check(options, argument):
        once = bind(kind, written(name, argument if function.argument else None, options))
        twice = bind(kind, once.text)
        assert twice.text == once.text
        assert twice.options == once.options
        assert set(once.options) == {option.name for option in function.options}
        assert bind(kind, once.label).text == once.text

    check()
