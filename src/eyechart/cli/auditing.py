"""The command that looks a data set over: audit."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eyechart.cli.options import Json, with_settings


@with_settings
def audit(
    data: Annotated[str, typer.Option("--data", metavar="SPEC", help="A data set's spec or a folder.")],
    encoder: Annotated[
        list[str],
        typer.Option(
            "--encoder", metavar="SPEC", help="Asked beside hog, hsv_histogram and pixels about labels. Repeatable."
        ),
    ] = [],  # noqa: B006, typer copies it
    run: Annotated[
        list[Path],
        typer.Option("--run", metavar="OUT", help="A run to score again without leaked test images. Repeatable."),
    ] = [],  # noqa: B006
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="A CSV of suggestions to edit and use as fixes=.")
    ] = None,
    *,
    flags: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Find duplicates, leaks between splits, doubtful labels and unreadable or odd images.

    Says what accuracy on test is without leaked images. Whatever it finds, it ends with exit code 0; no file of the
    data set is touched.
    """
    from eyechart.hygiene.auditing import audit as look_over

    found = look_over(data, encoder=encoder, run=run, write=write, **flags)
    typer.echo(json.dumps(found.as_dict(), indent=1, default=dict) if as_json else str(found))
