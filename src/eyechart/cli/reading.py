"""Commands that show what there is: table, compare, report, plot, list, show."""

import json
from pathlib import Path
from typing import Annotated

import typer

from eyechart.cli.options import Cache, DataDir, Json, Outs, Plugins, given, run_folders
from eyechart.errors import EyechartError

By = Annotated[
    str | None,
    typer.Option("--by", metavar="FIELD", help="Group encoders by a field of their cards, such as objective."),
]


def table(
    outs: Outs = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    aggregate: Annotated[
        bool, typer.Option("--aggregate", help="Mean and spread over seeds; with --by, over a group's encoders.")
    ] = False,
    by: By = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="ENCODER", help="Add mCE and relative mCE: errors against this encoder's."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Published numbers of the run's study beside ours, instead.")
    ] = False,
) -> None:
    """Print one tidy row for each measure.

    The columns are encoder, data, task, seed, metric, value, low, high, n, and one for each facet; with --by one more.
    """
    from eyechart.results.table import table as tidy
    from eyechart.show.published import beside_published

    if published and (aggregate or by or baseline):
        raise EyechartError("--published shows numbers one by one; leave out --aggregate, --by and --baseline.")
    folders = run_folders(outs)
    frame = beside_published(folders) if published else tidy(folders, aggregate=aggregate, by=by, baseline=baseline)
    if as_json:
        typer.echo(frame.to_json(orient="records", indent=1))
    elif as_csv:
        typer.echo(frame.to_csv(index=False), nl=False)
    else:
        from eyechart.show.terminal import print_rows

        print_rows(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def report(
    outs: Outs = None,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="The file; by default OUT/report.html.")] = None,
    by: By = None,
) -> None:
    """Write one HTML file that needs no network.

    It holds leaderboards, per-class tables and every setting.
    """
    from eyechart.show.report import report as write_report

    typer.echo(write_report(run_folders(outs), file=file, by=by))


def plot(
    out: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for the files.")],
    outs: Outs = None,
    chart: Annotated[
        list[str] | None,
        typer.Option("--chart", metavar="NAME", help="By default all that have something to show. Repeatable."),
    ] = None,
    format: Annotated[
        list[str] | None, typer.Option("--format", metavar="NAME", help="png (the default), svg or pdf. Repeatable.")
    ] = None,
) -> None:
    """Write charts with their intervals, sized for paper.

    Of any run: leaderboard, and frontier where costs were measured. Of the task robustness: severity_curves,
    mean_severity_curve, severity_auc, relative_robustness, clean_against_corrupted, heat_map.
    """
    from eyechart.show.plot import plot as write_charts

    for path in write_charts(run_folders(outs), out, chart=chart, format=format or "png"):
        typer.echo(path)


def compare(
    outs: Outs = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="M", help="Compare by this; by default each task's headline.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="TEXT", help='What the pick must meet, as in "latency_ms<20 and gmacs<5".'),
    ] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Say what is really better: paired differences, tie groups, a pick.

    Encoders are ranked and picked on val alone; test says which differences are more than luck.
    """
    from eyechart.results.compare import compare as compared

    comparison = compared(run_folders(outs), metric, where=where, by=by)
    if as_json:
        typer.echo(json.dumps(comparison.as_dict(), indent=1, allow_nan=False))
    else:
        from eyechart.show.comparing import print_comparison

        print_comparison(comparison)


def list_names(
    kind: Annotated[str, typer.Argument(help="encoders, datasets, tasks, studies or metrics")],
    plugin: Plugins = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """List what there is to choose from."""
    from eyechart.catalog import listing

    rows = listing(kind, **given(plugins=plugin))
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=list))
    else:
        from eyechart.show.terminal import print_rows

        print_rows(rows)


def show(
    kind: Annotated[str, typer.Argument(help="encoder, dataset, task, study or metric")],
    name: Annotated[str, typer.Argument(help="A name or a spec.")],
    plugin: Plugins = [],  # noqa: B006
    data_dir: DataDir = None,
    cache_dir: Cache = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of one name.

    Options and defaults; of an encoder its card, or else its transform, dimension and what was loaded; of a data set
    its splits. A bare name that needs more to stand for something, such as quantize, is shown as it can be called.
    """
    from eyechart.catalog import describe

    shown = describe(kind, name, **given(plugins=plugin, data_dir=data_dir, cache_dir=cache_dir))
    if as_json:
        typer.echo(json.dumps(shown, indent=1, default=list))
    else:
        for field, value in shown.items():
            nested = value.items() if isinstance(value, dict) else ()
            typer.echo(f"{field}: {'' if nested else value}")
            for inner, item in nested:
                typer.echo(f"  {inner}: {item}")
