"""The command line: thin, and every heavy import inside the command that needs it."""

import logging
import sys
from typing import Annotated, Any, NoReturn

import typer

from eyechart.cli import auditing, reading, running, searching, upkeep
from eyechart.errors import EyechartError, in_words, near

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
cache = typer.Typer(help="Look after stored embeddings.", rich_markup_mode=None)
for command in (
    running.run,
    reading.table,
    reading.compare,
    reading.report,
    reading.plot,
    reading.show,
    running.embed,
    running.corrupt,
    running.cost,
    searching.search,
    auditing.audit,
    upkeep.download,
    upkeep.verify,
    upkeep.doctor,
):
    app.command()(command)
app.command("list")(reading.list_names)
for name, command in (("ls", upkeep.cache_ls), ("gc", upkeep.cache_gc), ("verify", upkeep.cache_verify)):
    cache.command(name)(command)
app.add_typer(cache, name="cache")


@app.callback()
def version(
    shown: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """An eye chart for image encoders: embed your images once with each candidate, test everything, keep the best."""
    if shown:
        from eyechart import __version__

        typer.echo(__version__)
        raise typer.Exit()


_STOPPED = 130  # 128 + SIGINT
_UsageError: Any = typer.BadParameter.__bases__[0]  # what a misspelt flag raises, wherever typer keeps it


def _misused(error: Any) -> str:
    """Give typer's line for a wrong command or flag, with the names that are near, or with all commands."""
    if getattr(error, "possibilities", None):  # typer counts the dashes, too: to it --out is near --foo
        bare = {name.lstrip("-"): name for name in error.possibilities}
        error.possibilities = [bare[name] for name in near(error.option_name.lstrip("-"), bare)]
    said = error.format_message()
    if said.startswith("No such command") and "Did you mean" not in said:
        return f"{said} There are {', '.join(error.ctx.command.commands)}."
    return said


def main() -> NoReturn:
    """Run the command line: one line and exit code 2 for what the user can fix, 130 when stopped by hand."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("eyechart").setLevel(logging.INFO)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except (EyechartError, MemoryError, _UsageError) as error:
        text = in_words(error) if isinstance(error, EyechartError | MemoryError) else _misused(error)
        typer.echo(f"error: {' '.join(text.split())}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        code = _STOPPED
    if code == _STOPPED:  # typer makes this code of a KeyboardInterrupt itself
        typer.echo("stopped; what is finished is kept, run the same command again to go on", err=True)
    sys.exit(code)
