"""Imports point one way: this list is the order, from the ground up."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eyechart

PACKAGE = Path(eyechart.__file__).parent
LAYERS = (
    ("errors",),
    ("files", "specs", "progress", "libraries", "compiled"),
    ("types", "settings", "signatures"),
    ("entries", "images", "metrics", "probes"),
    ("registry",),
    ("cards",),
    ("embedding", "results", "adopt"),
    ("case",),
    ("training",),
    ("datasets", "encoders", "tasks"),
    ("study", "catalog", "exports", "corrupting", "costs", "embedder"),
    ("plan",),
    ("measuring",),
    ("runs", "show"),
    ("estimate", "verification", "conformance", "fetching", "searching"),
    ("examination", "hygiene"),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ARRAYS_ONLY = {"errors", "types", "files", "compiled", "metrics", "probes"}  # what probes and metrics may know


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of eyechart a file imports when it is imported, so not what stands in a function."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "eyechart":
            below = (node.module or "").split(".")[1:]
            found |= {below[0]} if below else {alias.name for alias in node.names if alias.name in RANK}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_to_the_ground(path):
    part = part_of(path)
    assert part in RANK, f"{part} has no place in the order; give it one in LAYERS"
    for imported in imported_parts(path) - {part}:
        assert RANK[imported] <= RANK[part], f"{path} is below {imported} and must not import it"
        if part in {"metrics", "probes"}:
            assert imported in ARRAYS_ONLY


def test_the_order_would_notice_a_wrong_import(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from eyechart import runs\nfrom eyechart.cli import main\n")
    assert imported_parts(wrong) == {"runs", "cli"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_stay_short(path):
    assert len(path.read_text().splitlines()) <= 300


def loaded_by(code: str) -> set[str]:
    asked = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "timm", "sklearn", "pandas", "cv2", "scipy", "numba", "altair", "vl_convert"}


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import eyechart") & (HEAVY | {"numpy"})
    assert not loaded_by("import eyechart.cli") & (HEAVY | {"numpy"})


def test_the_check_for_heavy_imports_can_fail():
    assert "sklearn" in loaded_by("import sklearn")
