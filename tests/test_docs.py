"""The documentation cannot rot: pages are current, links lead somewhere, examples run, commands exist."""

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from eyechart import registry, settings
from eyechart.registry import plugin_entries

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["commands.md", "names.md", "encoders.md"])
def test_generated_pages_are_current(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    module = generator()
    assert (ROOT / "docs" / name).read_text() == module.PAGES[name](), "run `python docs/generate.py`"


def test_every_command_of_the_program_has_its_section():
    from eyechart import cli

    page = generator().commands_page()
    names = [command.callback.__name__ for command in cli.app.registered_commands]
    assert "download" in names
    for name in names:
        assert f"## eyechart {name.removesuffix('_names')}\n" in page
    for command in cli.cache.registered_commands:
        assert f"## eyechart cache {command.name}\n" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_exist_with_the_flags_they_use(page):
    helps = (ROOT / "docs" / "commands.md").read_text()
    sections = dict(re.findall(r"## (eyechart[^\n]*)\n\n```\n(.*?)```", helps, flags=re.DOTALL))
    for block in blocks(page.read_text(), "bash"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] != "eyechart" or len(words) < 2:
                continue
            name = " ".join(words[:3]) if words[1] == "cache" else " ".join(words[:2])
            assert name in sections, f"{page.name}: {line}"
            for flag in (word for word in words if word.startswith("--")):
                assert f" {flag} " in sections[name], f"{page.name}: {line}"


def test_every_public_name_of_the_package_is_there():
    import eyechart

    assert "run" in dir(eyechart)
    for name in dir(eyechart):
        assert getattr(eyechart, name) is not None


def test_the_python_of_the_readme_runs(monkeypatch, capsys):
    (code,) = blocks(README, "python")
    scope: dict = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert scope["z"].x.shape == (357, 768)
    first, sentence = capsys.readouterr().out.strip().splitlines()[-2:]
    assert first in {"pixels", "hog(size=32, cells=4)"}
    assert sentence.startswith("On digits, use ")


def test_the_checkpoint_of_the_documentation_is_an_encoder():
    page = (ROOT / "docs" / "python.md").read_text()
    (code,) = (block for block in blocks(page, "python") if "write_checkpoint" in block)
    scope: dict = {}
    exec(compile(code, "python.md", "exec"), scope)
    assert scope["z"].x.shape == (20, 64)
    for field in json.loads(Path("trained/encoder.json").read_text()):
        assert f"| `{field}` |" in page


def extending_plugins() -> dict[str, str]:
    code = [block for block in blocks(EXTENDING, "python") if block.startswith("# ")]
    return {block.splitlines()[0].removeprefix("# "): block for block in code}


def test_the_plugins_of_the_documentation_work_together(tmp_path, monkeypatch):
    import eyechart as ec

    written = extending_plugins()
    assert set(written) == {"edges.py", "stripes.py", "spread.py"}
    for name, code in written.items():
        (tmp_path / name).write_text(code)
    files = tuple(tmp_path / name for name in written)
    out = ec.run(encoder=["edges", "noise"], data=["stripes"], task=["centroid"], plugins=files, out=tmp_path / "out")
    assert not out.failures
    first, second = out.leaderboards()[0].as_dicts()
    assert first["encoder"] == "edges"
    assert first["centroid"]["value"] > second["centroid"]["value"] + 0.2


def test_every_plugin_and_option_is_on_the_page_of_names():
    page = (ROOT / "docs" / "names.md").read_text()
    for kind in registry.KINDS:
        for entry in registry.entries(kind).values():
            assert re.search(rf"### {entry.name}\b", page)
            assert all(f"`{option.name}`" in page for option in entry.function.options)


def test_the_study_in_the_documentation_is_valid(tmp_path):
    from eyechart.study import read_study

    (block,) = blocks((ROOT / "docs" / "specs.md").read_text(), "toml")
    (tmp_path / "my.toml").write_text(block)
    study = read_study(str(tmp_path / "my.toml"))
    for kind, specs in (("encoders", study.encoders), ("tasks", study.tasks)):
        for spec in specs:
            registry.bind(kind, spec)


def test_the_record_in_the_documentation_has_the_fields_records_have(tmp_path):
    import eyechart as ec

    (block,) = blocks((ROOT / "docs" / "results.md").read_text(), "json")
    out = ec.run(encoder=["pixels"], data=["digits"], task=["knn(k=1)"], limit=40, out=tmp_path)
    (path,) = (out.out / "results").glob("*/*/*.json")
    assert set(json.loads(block)) == set(json.loads(path.read_text()))


def test_every_setting_is_documented():
    import dataclasses

    page = (ROOT / "docs" / "specs.md").read_text()
    for field in dataclasses.fields(settings.Settings):
        assert f"EYECHART_{field.name.upper()}" in page


def test_plugin_entries_find_each_plugin_of_the_documentation(tmp_path):
    for name, code in extending_plugins().items():
        (tmp_path / name).write_text(code)
        assert len(plugin_entries(tmp_path / name)) == 1
    assert sys.modules.keys().isdisjoint({"edges", "stripes", "spread"})  # listing imported nothing


def test_every_function_on_the_page_of_python_exists():
    import eyechart

    page = (ROOT / "docs" / "python.md").read_text()
    named = set(re.findall(r"`ec\.([a-z_.]+)\(", page))
    assert {"run", "dry_run", "table", "report", "embed", "verify", "doctor", "cache.ls"} <= named
    for name in named:
        found = eyechart
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)
