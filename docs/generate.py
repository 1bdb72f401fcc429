"""Write the pages that state what the program says of itself: `python docs/generate.py`. A test holds them current."""

import dataclasses
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

from eyechart import catalog, study
from eyechart.registry import KINDS, aliases, entries
from eyechart.specs import literal

HERE = Path(__file__).parent
COMMANDS = (
    *(
        (name,)
        for name in ("run", "table", "compare", "report", "list", "show", "embed", "cost", "audit", "verify", "doctor")
    ),
    *(("cache", name) for name in ("ls", "gc", "verify")),
)
TITLES = {"encoders": "Encoders", "datasets": "Data sets", "tasks": "Tasks"}


def help_text(*command: str) -> str:
    """Give what --help prints."""
    from eyechart.cli import app

    caught = io.StringIO()
    with redirect_stdout(caught):
        app([*command, "--help"], standalone_mode=False, prog_name="eyechart")
    return "\n".join(line.rstrip() for line in caught.getvalue().strip().splitlines())


def commands_page() -> str:
    """Give the page of commands and flags."""
    parts = ["# Commands\n\nThis page is written by `python docs/generate.py`.\n"]
    for command in ((), *COMMANDS):
        name = " ".join(("eyechart", *command))
        parts += [f"## {name}\n\n```\n{help_text(*command)}\n```\n"]
    return "\n".join(parts)


def names_page() -> str:
    """Give the page of encoders, data sets, tasks, studies and metrics."""
    parts = [
        "# Names\n\nEverything that can be typed after `--encoder`, `--data`, `--task`, and as a study or a metric. "
    ]
    parts.append("This page is written by `python docs/generate.py`.\n")
    for kind in KINDS:
        parts.append(f"\n## {TITLES[kind]}\n")
        for entry in entries(kind).values():
            function = entry.function
            argument = f":{function.argument.upper()}" if function.argument else ""
            parts.append(f"\n### {entry.name}{argument}\n\n{function.doc}\n")
            if function.options:
                parts.append("\n| option | default |\n|---|---|\n")
                parts += [f"| `{option.name}` | `{literal(option.default)}` |\n" for option in function.options]
        if kind == "encoders":
            parts += [
                "\n### Friendly names\n",
                "\n| name | stands for | trained by | parameters | license |\n|---|---|---|---|---|\n",
            ]
            parts += [
                f"| {name} | `{card['spec']}` | {card['objective']} | {card['parameters']} M | {card['license']} |\n"
                for name, card in aliases().items()
            ]
    parts.append("\n## Studies\n")
    for name in study.names():
        fields = dataclasses.asdict(study.read_study(name))
        listed = "".join(
            f"- {key}: {', '.join(f'`{v}`' for v in fields[key])}\n" for key in ("encoders", "data", "tasks")
        )
        parts.append(f"\n### {name}\n\n{fields['about']}\n\n{listed}")
    parts.append("\n## Metrics\n\n| name | meaning | unit | range | better |\n|---|---|---|---|---|\n")
    parts += [
        f"| {name} | {m['about']} | {m['unit']} | {m['range'][0]} to {m['range'][1]} | {m['better']} |\n"
        for name, m in catalog.metrics().items()
    ]
    return "".join(parts)


PAGES = {"commands.md": commands_page, "names.md": names_page}


def main() -> int:
    """Write every page."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
