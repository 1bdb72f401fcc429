"""Commands that compute: run, embed."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eyechart.cli.options import (
    Batch,
    Cache,
    Data,
    DataDir,
    Device,
    Encoders,
    Json,
    Limit,
    Plugins,
    Precision,
    Seeds,
    Tasks,
    Workers,
    given,
)


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
    precision: Precision = None,
    device: Device = None,
    batch_size: Batch = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    plugin: Plugins = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Run a study, or what is not done of it yet.

    Every encoder on every data set through every task; each cell is saved as soon as it is done. Ends with a
    leaderboard and a report. Without arguments: quickstart, on data that come with eyechart.
    """
    from eyechart import runs

    flags = given(
        precision=precision,
        device=device,
        batch_size=batch_size,
        workers=workers,
        data_dir=data_dir,
        cache_dir=cache_dir,
        plugins=plugin,
    )
    asked: dict[str, Any] = {"encoder": encoder, "data": data, "task": task, "seed": seed, "out": out}
    if dry_run:
        from eyechart.estimate import dry_run as forecast

        _print_forecast(list(forecast(study, **asked, quick=quick, limit=limit, redo=redo, **flags)), as_json)
        return
    results = runs.run(study, **asked, quick=quick, limit=limit, redo=redo, **flags)
    _print_results(results, as_json)
    raise typer.Exit(results.exit_code)


def _print_forecast(cells: list[Any], as_json: bool) -> None:
    import dataclasses

    from eyechart.show.terminal import print_rows

    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(cell) for cell in cells], indent=1))
        return
    print_rows([{"cell": c.cell, "state": c.state, "images": c.images or None, "seconds": c.shown} for c in cells])
    seconds = sum(cell.seconds or 0 for cell in cells)
    typer.echo(
        f"{len(cells)} cells, {sum(c.images for c in cells)} images to embed, about {seconds:.0f} s; probes not counted"
    )
    for cell in cells:
        if cell.reason:
            typer.echo(f"{cell.cell}: {cell.reason}", err=True)


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
    for name, reason in results.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
    _print_failures(results.failures)
    if results.records:
        from eyechart.show.report import report as write_report

        done = len(results.records)
        typer.echo(
            f"{done} cell{'s' * (done != 1)}: {results.computed} computed, {done - results.computed} were done already",
            err=True,
        )
        typer.echo(f"report: {write_report([results.out])}", err=as_json)


def _print_failures(failures: Any) -> None:
    """One line for each reason, however many cells it stopped."""
    by_reason: dict[str, list[str]] = {}
    for failure in failures:
        by_reason.setdefault(failure.reason, []).append(failure.cell)
    for reason, cells in by_reason.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        typer.echo(f"error: {cells[0]}{more}: {' '.join(reason.split())}", err=True)


def embed(
    encoder: Annotated[str, typer.Option("--encoder", metavar="SPEC", help="An encoder's spec.")],
    data: Annotated[str, typer.Option("--data", metavar="SPEC", help="A data set's spec or a folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A folder for x.npy, ids.txt, labels.txt.")
    ] = None,
    limit: Limit = None,
    precision: Precision = None,
    device: Device = None,
    batch_size: Batch = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    plugin: Plugins = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Embed a data set.

    The embeddings go to the cache, where a run that needs them finds them, and with --out to a folder.
    """
    from eyechart.exports import embed as embed_data

    flags = given(
        precision=precision,
        device=device,
        batch_size=batch_size,
        workers=workers,
        data_dir=data_dir,
        cache_dir=cache_dir,
        plugins=plugin,
    )
    embedded = embed_data(encoder, data, out=out, limit=limit, **flags)
    rows = [
        {"split": split, "images": len(z), "dim": z.x.shape[1], "left_out": len(z.left_out)}
        for split, z in embedded.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        from eyechart.show.terminal import print_rows

        print_rows(rows)
        typer.echo(f"written to {out}" if out else "stored in the cache; --out DIR writes a copy")
