"""eyechart: an eye chart for image encoders.

The public names, imported when they are first used, so that `import eyechart` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "run": "eyechart.runs",
    "dry_run": "eyechart.estimate",
    "table": "eyechart.results.table",
    "beside_published": "eyechart.show.published",
    "reliability": "eyechart.results.reliability",
    "compare": "eyechart.results.compare",
    "queries": "eyechart.results.searches",
    "report": "eyechart.show.report",
    "plot": "eyechart.show.plot",
    "charts": "eyechart.show.plot",
    "listing": "eyechart.catalog",
    "describe": "eyechart.catalog",
    "embed": "eyechart.exports",
    "corrupt": "eyechart.corrupting",
    "cost": "eyechart.costs",
    "audit": "eyechart.hygiene.auditing",
    "Embedder": "eyechart.embedder",
    "download": "eyechart.fetching",
    "verify": "eyechart.verification",
    "doctor": "eyechart.examination",
    "search": "eyechart.searching",
    "Results": "eyechart.runs",
    "EyechartError": "eyechart.errors",
    "Images": "eyechart.types",
    "Encoder": "eyechart.types",
    "Derived": "eyechart.types",
    "Transform": "eyechart.types",
    "Embeddings": "eyechart.types",
    "Measure": "eyechart.types",
    "Record": "eyechart.types",
    "Dataset": "eyechart.types",
    "EncoderSpec": "eyechart.types",
    "DataSpec": "eyechart.types",
    "FilePath": "eyechart.types",
    "Case": "eyechart.case",
    "from_arrays": "eyechart.images.views",
    "from_files": "eyechart.images.views",
}

if TYPE_CHECKING:
    from eyechart.case import Case as Case
    from eyechart.catalog import describe as describe
    from eyechart.catalog import listing as listing
    from eyechart.corrupting import corrupt as corrupt
    from eyechart.costs import cost as cost
    from eyechart.embedder import Embedder as Embedder
    from eyechart.errors import EyechartError as EyechartError
    from eyechart.estimate import dry_run as dry_run
    from eyechart.examination import doctor as doctor
    from eyechart.exports import embed as embed
    from eyechart.fetching import download as download
    from eyechart.hygiene.auditing import audit as audit
    from eyechart.images.views import from_arrays as from_arrays
    from eyechart.images.views import from_files as from_files
    from eyechart.results.compare import compare as compare
    from eyechart.results.reliability import reliability as reliability
    from eyechart.results.searches import queries as queries
    from eyechart.results.table import table as table
    from eyechart.runs import Results as Results
    from eyechart.runs import run as run
    from eyechart.searching import search as search
    from eyechart.show.plot import charts as charts
    from eyechart.show.plot import plot as plot
    from eyechart.show.published import beside_published as beside_published
    from eyechart.show.report import report as report
    from eyechart.types import Dataset as Dataset
    from eyechart.types import DataSpec as DataSpec
    from eyechart.types import Derived as Derived
    from eyechart.types import Embeddings as Embeddings
    from eyechart.types import Encoder as Encoder
    from eyechart.types import EncoderSpec as EncoderSpec
    from eyechart.types import FilePath as FilePath
    from eyechart.types import Images as Images
    from eyechart.types import Measure as Measure
    from eyechart.types import Record as Record
    from eyechart.types import Transform as Transform
    from eyechart.verification import verify as verify


def __getattr__(name: str) -> Any:
    if name == "cache":
        return importlib.import_module("eyechart.embedding.cache")
    if name not in _WHERE:
        raise AttributeError(f"module 'eyechart' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(["__version__", "cache", *_WHERE])
