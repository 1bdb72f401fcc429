"""Commands that look after things: download, verify, doctor, cache."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eyechart.cli.options import Cache, Data, DataDir, Device, Encoders, Json, Plugins, given, run_folders


def download(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="A study's name or a TOML file.")] = None,
    encoder: Encoders = [],  # noqa: B006, typer copies it
    data: Data = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be downloaded.")] = False,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    plugin: Plugins = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Fetch data sets and weights, so that a run needs no network.

    All that a study needs, or what is named; what is there already stays. Exit code 1 if some of it cannot be had.
    """
    import dataclasses

    from eyechart.fetching import each, exit_code

    fetched = []
    asked = given(encoder=encoder, data=data, data_dir=data_dir, cache_dir=cache_dir, plugins=plugin)
    for one in each(study, dry_run=dry_run, **asked):
        fetched.append(one)
        if not as_json:
            typer.echo(one.line)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in fetched], indent=1))
    states = [one.state for one in fetched]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    awaited = sum(one.megabytes or 0 for one in fetched if one.state == "to download")
    typer.echo(f"{counted}{f'; at most {awaited:,} MB to download' if awaited else ''}", err=True)
    raise typer.Exit(exit_code(fetched))


def verify(
    out: Annotated[Path | None, typer.Argument(help="A run folder; by default the newest under runs/.")] = None,
    sample: Annotated[int, typer.Option("--sample", help="How many records; 0 takes all.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw of records.")] = 0,
    stored: Annotated[
        bool, typer.Option("--stored", help="Use the stored embeddings instead of embedding anew.")
    ] = False,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    plugin: Plugins = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Compute a sample of cells again and say what moved.

    Exit code 1 if any number did.
    """
    import dataclasses

    from eyechart.verification import verify as verify_run

    flags = given(data_dir=data_dir, cache_dir=cache_dir, plugins=plugin)
    (folder,) = run_folders([out] if out else None)
    checks = []
    for check in verify_run(folder, sample=sample, seed=seed, fresh=not stored, **flags):
        checks.append(check)
        if not as_json:
            typer.echo(check.line)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    raise typer.Exit(0 if all(check.same for check in checks) else 1)


def doctor(
    plugin: Plugins = [],  # noqa: B006
    device: Device = None,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    as_json: Json = False,
) -> None:
    """Say whether this machine is ready.

    With --plugin a plugin file is put through the conformance checks. Exit code 1 if anything is wrong.
    """
    from eyechart.examination import doctor as examine

    seen = []
    for what, well, detail in examine(plugin=plugin, **given(device=device, data_dir=data_dir, cache_dir=cache_dir)):
        seen.append({"what": what, "well": well, "detail": detail})
        if not as_json:
            typer.echo(f"{'ok  ' if well else 'BAD '} {what}: {detail}")
    if as_json:
        typer.echo(json.dumps(seen, indent=1))
    raise typer.Exit(0 if all(row["well"] for row in seen) else 1)


def cache_ls(cache_dir: Cache = None, as_json: Json = False) -> None:
    """List stored embeddings, largest first."""
    from eyechart import settings
    from eyechart.embedding import cache

    with settings.using(**given(cache_dir=cache_dir)):
        _print_kept(cache.ls(), as_json)


def cache_gc(
    unused_days: Annotated[float, typer.Option("--unused-days", help="Remove what was not used for so long.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    as_json: Json = False,
) -> None:
    """Remove what is damaged or long unused.

    A run computes it again when it is needed. Beginnings of downloads that nobody went on with go as well.
    """
    from eyechart import settings
    from eyechart.embedding import cache

    with settings.using(**given(data_dir=data_dir, cache_dir=cache_dir)):
        gone = cache.gc(unused_days=unused_days, dry_run=dry_run)
    _print_kept(gone, as_json)
    typer.echo(f"{'would free' if dry_run else 'freed'} {sum(kept.size for kept in gone) / 2**20:.1f} MiB", err=True)


def cache_verify(cache_dir: Cache = None, as_json: Json = False) -> None:
    """Compare every stored array with its checksum.

    Exit code 1 if one is damaged.
    """
    from eyechart import settings
    from eyechart.embedding import cache

    with settings.using(**given(cache_dir=cache_dir)):
        checked = list(cache.verify())
    damaged = [kept for kept, intact in checked if not intact]
    _print_kept(damaged, as_json)
    for kept in damaged:
        typer.echo(f"damaged: delete {kept.folder}; the next run embeds its images again", err=True)
    typer.echo(f"{len(checked) - len(damaged)} of {len(checked)} intact", err=True)
    raise typer.Exit(1 if damaged else 0)


def _print_kept(listed: list[Any], as_json: bool) -> None:
    rows = [
        {
            "folder": str(k.folder),
            "state": k.state,
            "images": k.images,
            "MiB": k.size / 2**20,
            "unused_days": k.unused_days,
        }
        for k in listed
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        from eyechart.show.terminal import print_rows

        print_rows(rows)
