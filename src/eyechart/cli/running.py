"""Commands that compute: run, embed, cost."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from eyechart.cli.options import Candidates, Data, Encoders, Json, Limit, Seeds, Tasks, given, with_settings


@with_settings
def run(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="A study's name or a TOML file.")] = None,
    encoder: Encoders = [],  # noqa: B006, typer copies it
    data: Data = [],  # noqa: B006
    task: Tasks = [],  # noqa: B006
    seed: Seeds = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where results go; by default runs/<study>.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be embedded and for how long.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="200 images of each split, to see that all works.")] = False,
    limit: Limit = None,
    redo: Annotated[bool, typer.Option("--redo", help="Compute cells again that are done.")] = False,
    *,
    flags: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Run a study, or what is not done of it yet.

    Every encoder on every data set through every task; each cell is saved as soon as it is done. Ends with a
    leaderboard and a report. Without arguments: quickstart, on data that come with eyechart.
    """
    from eyechart import runs

    asked = given(encoder=encoder, data=data, task=task, seed=seed, out=out)
    if dry_run:
        from eyechart.estimate import dry_run as forecast

        cells = list(forecast(study, **asked, quick=quick, limit=limit, redo=redo, **flags))
        raise typer.Exit(_print_forecast(cells, as_json))
    results = runs.run(study, **asked, quick=quick, limit=limit, redo=redo, **flags)
    _print_results(results, as_json)
    raise typer.Exit(results.exit_code)


def _print_forecast(cells: list[Any], as_json: bool) -> int:
    """Print what a dry run found, and give the exit code that the run would have."""
    import dataclasses

    from eyechart.show.terminal import print_rows

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(cell) for cell in cells], indent=1))
        return _foreseen_code(cells)
    print_rows([{"cell": c.cell, "state": c.state, "images": c.images or None, "seconds": c.shown} for c in cells])
    seconds = sum(cell.seconds or 0 for cell in cells)
    typer.echo(
        f"{len(cells)} cells, {sum(c.images for c in cells)} images to embed, about {seconds:.0f} s; probes not counted"
        f"{', nor what is not here yet' * any(c.state == 'to download' for c in cells)}"
    )
    for line in _by_reason((c.cell, c.reason) for c in cells if c.reason):
        typer.echo(line, err=True)
    return _foreseen_code(cells)


def _foreseen_code(cells: list[Any]) -> int:
    states = {cell.state for cell in cells}
    return 2 if states == {"cannot"} else int("cannot" in states)


def _print_results(results: Any, as_json: bool) -> None:
    if as_json:
        boards = {board.data: board.as_dicts() for board in results.leaderboards()}
        failures = [{"cell": f.cell, "reason": f.reason} for f in results.failures]
        shown = {
            "out": str(results.out),
            "leaderboards": boards,
            "failures": failures,
            "skipped": dict(results.skipped),
        }
        typer.echo(json.dumps({**shown, "computed": results.computed}, indent=1))
    else:
        from eyechart.show.terminal import print_leaderboards

        print_leaderboards(results.leaderboards())
        _print_published(results)
    for name, reason in results.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
    _print_failures(results.failures)
    if results.records:
        from eyechart.show.report import report_of_run

        typer.echo(_counted(results), err=True)
        typer.echo(f"report: {report_of_run(results.out)}", err=as_json)


def _print_published(results: Any) -> None:
    from eyechart.show.published import print_published

    if results.records:
        print_published(results.out, results.records)


def _counted(results: Any) -> str:
    done, skipped = len(results.records), len(results.skipped)
    said = f"{done} cell{'s' * (done != 1)}: {results.computed} computed, {done - results.computed} were done already"
    of_all = f"{skipped} of {results.encoders} encoders skipped"
    return f"{said}; {of_all} (listed above)" if skipped else said


def _print_failures(failures: Any) -> None:
    for line in _by_reason((failure.cell, failure.reason) for failure in failures):
        typer.echo(f"error: {line}", err=True)


def _by_reason(cells: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Give one line for each reason, however many cells have it."""
    by_reason: dict[str, list[str]] = {}
    for cell, reason in cells:
        by_reason.setdefault(reason, []).append(cell)
    for reason, named in by_reason.items():
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        yield f"{named[0]}{more}: {' '.join(reason.split())}"


@with_settings
def embed(
    encoder: Annotated[str, typer.Option("--encoder", metavar="SPEC", help="An encoder's spec.")],
    data: Annotated[str, typer.Option("--data", metavar="SPEC", help="A data set's spec or a folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A folder for x.npy, ids.txt, labels.txt.")
    ] = None,
    limit: Limit = None,
    *,
    flags: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Embed a data set.

    The embeddings go to the cache, where a run that needs them finds them, and with --out to a folder.
    """
    from eyechart.exports import embed as embed_data

    embedded = embed_data(encoder, data, out=out, limit=limit, **flags)
    rows = [
        {"split": split, "images": len(z), "dim": z.x.shape[1], "left_out": dict(z.left_out)}
        for split, z in embedded.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        from eyechart.show.terminal import print_rows

        print_rows([row | {"left_out": len(row["left_out"])} for row in rows])
        typer.echo(f"written to {out}" if out else "stored in the cache; --out DIR writes a copy")


@with_settings
def corrupt(
    data: Annotated[str, typer.Option("--data", metavar="SPEC", help="A data set's spec or a folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder for the images.")],
    corruption: Annotated[
        list[str] | None, typer.Option("--corruption", metavar="NAME", help="By default all of the profile.")
    ] = None,
    severity: Annotated[
        list[int] | None, typer.Option("--severity", metavar="S", help="1 to 5; by default all five.")
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="cifar-c, imagenet-c or photo.")
    ] = "cifar-c",
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Whose images.")] = "test",
    layout: Annotated[str, typer.Option("--layout", metavar="NAME", help="npy or folders.")] = "npy",
    limit: Limit = None,
    *,
    flags: dict[str, Any],
) -> None:
    """Write corrupted images to a folder, in the layout of CIFAR-10-C or as PNG files.

    A task that needs such images makes them itself; this is for other programs.
    """
    from eyechart.corrupting import corrupt as corrupt_data

    chosen = {"corruptions": corruption or (), "severities": severity or (1, 2, 3, 4, 5)}
    of: Any = {"profile": profile, "split": split, "layout": layout, "limit": limit}
    typer.echo(f"written to {corrupt_data(data, out=out, **chosen, **of, **flags)}")


@with_settings
def cost(
    encoder: Candidates,
    data: Annotated[
        str | None, typer.Option("--data", metavar="SPEC", help="Images to time with; by default generated ones.")
    ] = None,
    *,
    flags: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Measure what encoders cost on this machine.

    Parameters, GMACs, images per second, latency, memory, bytes per embedding, and what k-NN, nearest centroid and
    a linear head add. No result is kept: in a run, the task cost measures the same and keeps it.
    """
    from eyechart.costs import cost as measure

    measured = measure(encoder, data=data, **flags)
    if as_json:
        typer.echo(json.dumps([_cost_as_dict(one) for one in measured], indent=1))
    else:
        _print_costs([one for one in measured if not one.reason])
    for one in measured:
        for line in one.notes:
            typer.echo(f"{one.encoder}: {line}", err=True)
    failures = [one for one in measured if one.reason]
    for one in failures:
        typer.echo(f"error: {one.encoder}: {' '.join(one.reason.split())}", err=True)
    if failures:
        raise typer.Exit(2 if len(failures) == len(measured) else 1)


def _cost_as_dict(one: Any) -> dict[str, Any]:
    shown = ("metric", "value", "low", "high", "n")
    measures = [{name: getattr(m, name) for name in shown} | {"facets": dict(m.facets)} for m in one.measures]
    said = {"notes": list(one.notes), "reason": one.reason, "machine": dict(one.machine)}
    return {"encoder": one.encoder, "measures": measures, **said}


_COLUMNS: dict[str, tuple[str, dict[str, str | int], float]] = {  # what is printed: metric, facets, divided by
    "M parameters": ("parameters", {}, 1e6),
    "GMACs": ("gmacs", {}, 1.0),
    "images/s": ("images_per_second", {"part": "forward"}, 1.0),
    "... with decoding": ("images_per_second", {"part": "total"}, 1.0),
    "latency, ms": ("latency_ms", {"part": "forward"}, 1.0),
    "memory, MB": ("peak_memory_bytes", {}, 1e6),
    "bytes/embedding": ("bytes_per_embedding", {}, 1.0),
    "k-NN, ms": ("latency_ms", {"head": "knn"}, 1.0),
    "centroid, ms": ("latency_ms", {"head": "centroid"}, 1.0),
    "linear, ms": ("latency_ms", {"head": "linear"}, 1.0),
}


def _print_costs(measured: list[Any]) -> None:
    from eyechart.embedding.machine import in_words
    from eyechart.show.terminal import print_rows, short

    if not measured:
        return
    rows = []
    for one in measured:
        values = {title: (one.value(metric, **facets), by) for title, (metric, facets, by) in _COLUMNS.items()}
        shown = {title: "-" if value is None else short(value / by) for title, (value, by) in values.items()}
        rows.append({"encoder": one.encoder, **shown})
    print_rows(rows)
    here = measured[0].machine
    stored = next((m.facets["stored"] for one in measured for m in one.measures if "stored" in m.facets), 0)
    typer.echo(
        f"on {in_words(here)}; medians; speeds in batches of {here['batch_size']}, latencies of one image; k-NN among "
        f"{stored:,} stored images"
    )
