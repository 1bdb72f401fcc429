"""Results in the files of AdamBlm/dino-robustness-benchmark: its names, fields and percentages, from records alone.

Differences: what is missing is null, where that program wrote NaN, which is no JSON; and so are means that lack cells,
which there were means of fewer. The positions of the split come
in ascending order, there in the order in which they were drawn; the sets are the same.
"""

import dataclasses
import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyechart.files import digest, write_json
from eyechart.images.corruptions.profiles import SETS
from eyechart.registry import bind
from eyechart.results import records
from eyechart.specs import Spec, parse
from eyechart.types import Measure, Record

log = logging.getLogger("eyechart")
FOLDER = "system000"  # of a run's folder, whose `results` are records
_DATA = "cifar10c"  # all that the program knows
_CORRUPTIONS = SETS["prior"]
_OPTIONS = {"knn": {"distance", "normalize", "database"}, "linear": {"refit"}, "robustness": {"k"}}  # that are read
_SEVERITIES = ("1", "2", "3", "4", "5")
_LONGEST = 150  # bytes of a name: file names have at most 255
_ID = re.compile(r"train/(\d+)")


def write(out: Path, found: Sequence[Record]) -> list[Path]:
    """Write the files of a run's records to `out/system000`, and give their paths.

    experiments/<model>/results_linear.json and results_knn.json, results/corrupted/<model>_<probe>_robustness.json and
    data/cifar10_splits/split_seed<seed>_val<n>.json, of results on CIFAR-10-C. Where two results would have one file,
    none is written, and that is said.
    """
    made = {**files(found), **_splits(out, found)}
    for name, content in made.items():
        write_json(out / FOLDER / name, content)
    if made:
        log.info("%d files as dino-robustness-benchmark writes them: %s", len(made), out / FOLDER)
    else:
        log.info("no files as dino-robustness-benchmark writes them: it knows no data but all of %s", _DATA)
    return [out / FOLDER / name for name in made]


def files(found: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Give the content of each result file by its path. Numbers are percentages with three decimals."""
    by_model: dict[str, dict[str, list[Record]]] = {}
    for record in found:
        if _known(record):
            by_model.setdefault(_model(record), {}).setdefault(_spec(record, "task").name, []).append(record)
    made: dict[str, dict[str, Any]] = {}
    for model, tasks in by_model.items():
        several = [task for task, some in tasks.items() if len(some) > 1]
        for task in several:
            log.warning("several results of %s for %s: files that hold one are not written anew", task, model)
        of = {task: some[0] for task, some in tasks.items() if task not in several}
        made |= {name: content for name, content in _of_model(model, of).items() if content}
    return made


def _known(record: Record) -> bool:
    """Whether a record is of all images of the data that the program knows, by a task of eyechart's own."""
    if record.bound["limit"] is not None or str(record.bound["data"]).partition("(")[0] != _DATA:
        return False
    task = str(record.bound["task"])
    name = task.partition("(")[0]
    return name in _OPTIONS and _OPTIONS[name] <= parse(task).options.keys()


def _of_model(model: str, of: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    robust = of.get("robustness")
    made: dict[str, dict[str, Any]] = {}
    if "linear" in of:
        made[f"experiments/{model}/results_linear.json"] = _linear(model, of["linear"], robust)
    if "knn" in of:
        made[f"experiments/{model}/results_knn.json"] = _knn(model, of["knn"], robust)
    if robust:
        for probe in ("linear", "knn"):
            made[f"results/corrupted/{model}_{probe}_robustness.json"] = _robustness(model, probe, robust)
    return made


def _linear(model: str, record: Record, robust: Record | None) -> dict[str, Any]:
    on_val = _accuracies(record, "val", probe="linear")
    (best,) = [measure for measure in on_val if measure.facets["selected"]]
    (test,) = _accuracies(record, "test", probe="linear")
    made = {
        "model": model,
        "search_Cs": sorted(measure.facets["c"] for measure in on_val),
        "best_C": best.facets["c"],
        "val_acc": _percent(best.value),
        "test_acc": _percent(test.value),
        "scaled": True,
        "refit_on_full": _spec(record, "task").options["refit"] == "train+val",
        "seed": _spec(record, "data").options["seed"],
    }
    overall = _overall(_cells(robust, probe="linear")) if robust else None
    if overall is not None:
        made |= {"cifar10c_acc": round(overall, 3), "relative_robustness": _ratio(overall, 100 * test.value)}
    return made


def _knn(model: str, record: Record, robust: Record | None) -> dict[str, Any]:
    options, on_test = _spec(record, "task").options, _accuracies(record, "test", probe="knn")
    by_k = {str(measure.facets["k"]): _percent(measure.value) for measure in on_test}
    made: dict[str, Any] = {
        "model": model,
        "metric": options["distance"],
        "normalize": options["normalize"] or options["distance"] == "cosine",  # which scales every row to length 1
        "use_val_db": options["database"] == "train+val",
        "k_values": [measure.facets["k"] for measure in on_test],
        "test": by_k,
    }
    found = {k: _overall(_cells(robust, probe="knn", k=int(k))) for k in by_k} if robust else {}
    overall = {k: round(value, 3) for k, value in found.items() if value is not None}
    return made | ({"cifar10c": overall} if overall else {})


def _robustness(model: str, probe: str, record: Record) -> dict[str, Any]:
    """Give the content of a file of robustness: of k-NN with the last k, as the clean accuracy there was."""
    clean = _accuracies(record, "test", probe=probe)[-1]
    of = {"probe": "knn", "k": clean.facets["k"]} if probe == "knn" else {"probe": probe}
    cells, clean_acc = _cells(record, **of), _percent(clean.value)
    if not cells:
        return {}
    shown: dict[str, dict[str, float | None]] = {name: {} for name in sorted(_CORRUPTIONS)}
    for name, severity in itertools.product(shown, _SEVERITIES):
        measure = cells.get(name, {}).get(severity)
        shown[name][severity] = None if measure is None else _percent(measure.value)
    every = [one for of_name in shown.values() for one in of_name.values()]
    known, overall = [one for one in every if one is not None], _overall(cells)
    if len(known) < len(every):
        log.warning("%s, %s: %d of %d cells are there, so means are null", model, probe, len(known), len(every))
    return {
        "model": model,
        "probe": probe,
        "clean_acc": clean_acc,
        "cifar10c_acc": None if overall is None else round(overall, 3),
        "mCA": None if overall is None else round(float(np.mean(known)), 3),
        "RR": None if overall is None else _ratio(overall, clean_acc),
        "severity_auc": {name: _area(list(of_name.values())) for name, of_name in shown.items()},
        "per_corruption": shown,
    }


def _area(accuracies: Sequence[float | None]) -> float | None:
    """Give the area by trapezoids over severities 1 to 5; a missing one is filled with the mean of the others."""
    if all(one is None for one in accuracies):
        return None
    values = np.array([np.nan if one is None else one for one in accuracies])
    filled = np.where(np.isnan(values), np.nanmean(values), values)
    return float(((filled[1:] + filled[:-1]) / 2).sum())


def _accuracies(record: Record, split: str, **facets: Any) -> list[Measure]:
    wanted = {"split": split, **facets}
    return [one for one in record.measures if one.metric == "accuracy" and wanted.items() <= one.facets.items()]


def _cells(record: Record, **facets: Any) -> dict[str, dict[str, Measure]]:
    """Give the accuracy of each of its corruptions by severity, of official splits."""
    wanted = {"profile": "official", **facets}
    found: dict[str, dict[str, Measure]] = {}
    for one in record.measures:
        if one.facets.get("corruption") not in _CORRUPTIONS:
            continue
        if one.metric == "corruption_accuracy" and wanted.items() <= one.facets.items():
            found.setdefault(str(one.facets["corruption"]), {})[str(one.facets["severity"])] = one
    return found


def _overall(cells: Mapping[str, Mapping[str, Measure]]) -> float | None:
    """Give the percentage of all corrupted images that was right; None where cells are missing."""
    every = [one for of_name in cells.values() for one in of_name.values()]
    if len(every) < len(_CORRUPTIONS) * len(_SEVERITIES):
        return None
    return sum(round(one.value * one.n) for one in every) / sum(one.n for one in every) * 100.0


def _percent(value: float) -> float:
    return round(100 * value, 3)


def _ratio(corrupted: float, clean: float) -> float | None:
    return round(corrupted / clean, 4) if clean > 0 else None


def _spec(record: Record, part: str) -> Spec:
    return parse(str(record.bound[part]))


def _model(record: Record) -> str:
    """Give timm's name of a model as it is there; of any other encoder its label, as a file's name."""
    text = str(record.bound["encoder"])
    if text.startswith("timm:"):
        name = parse(text).argument
        if bind("encoders", f"timm:{name}").text == text:
            return str(name)
    safe = re.sub(r"[^\w.-]+", "_", record.encoder).strip("_.")
    short = safe.encode()[:_LONGEST].decode(errors="ignore")
    return safe if short == safe else f"{short}-{digest(text)[:8]}"


def _splits(out: Path, found: Sequence[Record]) -> dict[str, dict[str, list[int]]]:
    """Give the positions of train and val in the official 50,000."""
    made, seen = {}, set()
    for record in filter(_known, found):
        spec = _spec(record, "data")
        if record.bound["data"] in seen:
            continue
        seen.add(record.bound["data"])
        whole = dataclasses.replace(record, left_out={})
        ids = {split: records.split_data(out, whole, split)["ids"] for split in ("train", "val")}
        places = {split: [int(m[1]) for one in some if (m := _ID.fullmatch(str(one)))] for split, some in ids.items()}
        name = f"data/cifar10_splits/split_seed{spec.options['seed']}_val{len(ids['val'])}.json"
        made[name] = {f"{split}_idx": some for split, some in places.items()}
    return made
