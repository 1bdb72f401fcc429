"""Every plugin in the package and in examples/plugins keeps its promises: a new file is covered by being there."""

import os
from pathlib import Path

import pytest

import eyechart as ec
from eyechart import conformance, registry, settings

ENTRIES = [entry for kind in registry.KINDS for entry in registry.entries(kind).values()]
EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "plugins").glob("*.py"))
DATA_DIR = os.environ.get("EYECHART_DATA_DIR")  # read before the fixtures hide it


def assert_kept(findings):
    failed = [f"{finding.name}: {finding.detail}" for finding in findings if not finding.passed]
    assert not failed, "\n".join(failed)
    skipped = [f"{finding.name} {finding.detail}" for finding in findings if finding.skipped]
    if skipped:
        pytest.skip("; ".join(skipped))


@pytest.mark.parametrize("entry", ENTRIES, ids=[f"{entry.kind}/{entry.name}" for entry in ENTRIES])
def test_every_packaged_plugin_keeps_its_promises(entry):
    with settings.using(data_dir=DATA_DIR):
        assert_kept(conformance.check(entry))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_example_plugin_keeps_its_promises(path):
    found = conformance.check_plugin(path)
    assert list(found) == [path.stem]
    assert_kept(found[path.stem])


@pytest.mark.parametrize("finding", conformance.check_metrics(), ids=lambda finding: finding.name)
def test_every_metric_is_described(finding):
    assert_kept([finding])


def test_the_examples_work_together_in_one_run(tmp_path):
    asked = {
        "encoder": ["edges", "edges(bins=4)", "noise"],
        "data": ["shapes(per_class=12)"],
        "task": ["purity", "knn(k=(1, 5))"],
        "out": tmp_path / "out",
        "plugins": tuple(map(str, EXAMPLES)),
    }
    first, second = ec.run(**asked), ec.run(**asked)
    assert (first.exit_code, first.computed, second.exit_code, second.computed) == (0, 6, 0, 0)
    best = {record.encoder: record for record in first.records if record.task == "purity"}
    assert best["edges"].measures[0].value > best["noise"].measures[0].value


def test_the_example_encoder_fits_in_25_lines():
    edges = next(path for path in EXAMPLES if path.stem == "edges")
    assert len(edges.read_text(encoding="utf-8").splitlines()) <= 25
