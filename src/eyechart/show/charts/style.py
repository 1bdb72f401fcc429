"""How charts look: sizes for paper, colors that color-blind readers tell apart, marks that gray paper tells apart."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any, TypeAlias

import altair as alt

PAGE, COLUMN = 672, 336  # pixels, 96 to the inch: 7 inches are the text of a page, 3.5 a column of it
LONGEST = 34  # characters of a name beside a chart
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # the first comes with what draws files, as wide as the second
TEXT, INK, SOFT, LINE = 11, "#1c1f26", "#5a616e", "#dcdfe4"
# Okabe and Ito, Color universal design, 2008; without the yellow that white paper swallows.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1])  # as many as share no factor with the colors: 35 pairs
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
_WIDE = 0.56  # of a font's size, a letter on average

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """One chart and the words that tell it apart from others of its function: a probe, an encoder."""

    chart: Chart
    title: str
    words: tuple[str, ...] = ()


def shortened(names: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Give each name without its middle where it is long, but never two names the same.

    >>> list(shortened(["hog", "timm:vit_small_patch14_dinov2.lvd142m"], 20).values())
    ['hog', 'timm:vit_sma…lvd142m']
    """
    tail = (longest - 1) * 2 // 5
    short = {
        name: name if len(name) <= longest else f"{name[: longest - 1 - tail]}…{name[len(name) - tail :]}"
        for name in names
    }
    if len(set(short.values())) == len(set(names)):
        return short
    return shortened(names, longest + 4)


def series(names: Sequence[str], width: int = PAGE) -> dict[str, Any]:
    """Give color, dash and shape of each name in the field `series`, with one legend."""
    several, legend = range(len(names)), _legend(names, width)
    colors = [_darker(COLORS[place % len(COLORS)], place // len(COLORS)) for place in several]

    def scale(choices: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=list(names), range=[choices[place % len(choices)] for place in several])

    return {
        "color": alt.Color("series:N", scale=scale(colors), legend=legend),
        "strokeDash": alt.StrokeDash("series:N", scale=scale(DASHES), legend=legend),
        "shape": alt.Shape("series:N", scale=scale(SHAPES), legend=legend),
    }


def _darker(color: str, times: int) -> str:
    """Give a color for the second and further time that it is used. Black becomes gray."""
    if color == "#000000" and times:
        return "#" + f"{255 - round(100 * 0.7 ** (times - 1)):02X}" * 3
    return "#" + "".join(f"{round(int(color[i : i + 2], 16) * 0.5**times):02X}" for i in (1, 3, 5))


def _legend(names: Sequence[str], width: int) -> alt.Legend:
    wide = [len(name) * TEXT * _WIDE + 36 for name in names]
    fitting = (n for n in range(len(names), 0, -1) if sum(max(wide[place::n]) for place in range(n)) <= width)
    return alt.Legend(
        title=None,
        orient="bottom",
        columns=next(fitting, 1),
        labelLimit=0,
        symbolSize=60,
        symbolOpacity=1,
        symbolStrokeWidth=0,
    )


def picking() -> alt.Parameter:
    """Give what a click on a legend does: the others step back."""
    return alt.selection_point(name="picked", fields=["series"], bind="legend")


def stepping_back(picked: alt.Parameter, shown: float = 1.0) -> Any:
    """Give the opacity of marks under `picking`."""
    return alt.when(picked).then(alt.value(shown)).otherwise(alt.value(shown / 8))


def zooming() -> alt.Parameter:
    """Give zoom with ctrl and the wheel (or two fingers), shift and a drag, and back with a double click.

    Without a key, the wheel and a finger go on moving the page.
    """
    return alt.selection_interval(
        name="zoom",
        bind="scales",
        zoom="wheel![event.ctrlKey]",
        translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    )


def columns(n: int, most: int) -> int:
    """Give how many of n panels stand side by side: a few less where that leaves no gap at the end and adds no row.

    >>> columns(3, 5), columns(16, 5), columns(19, 5), columns(4, 3)
    (3, 4, 5, 2)
    """
    if n <= most:
        return n
    rows = -(-n // most)
    return next((many for many in range(most, 1, -1) if n % many == 0 and n // many == rows), most)


def percent(title: str | None, **options: Any) -> alt.Axis:
    """Give an axis of fractions."""
    return alt.Axis(title=title, format="%", **options)


def top_of(rows: Sequence[dict[str, Any]], *names: str) -> float:
    """Give where an axis of fractions ends: the next tenth above all that is drawn, 1 at the most where that is one."""
    highest = max((row[name] for row in rows for name in names if row.get(name) is not None), default=1.0)
    return max(0.1, -(-round(highest, 6) * 10 // 1) / 10)


def counted(rows: Sequence[dict[str, Any]]) -> str:
    """Give how many images the numbers are of."""
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{max(row['n'] for row in rows):,} images"


def hints(*more: alt.Tooltip, unit: str = "fraction") -> list[alt.Tooltip]:
    """Give what is said of a mark under the pointer: whose it is, the value, its interval and n."""
    form = ".1%" if unit == "fraction" else ",.3~g"
    numbers = [("value", "value"), ("low", "95 % from"), ("high", "95 % to")]
    return [
        alt.Tooltip("encoder:N"),
        *more,
        *(alt.Tooltip(f"{field}:Q", title=title, format=form) for field, title in numbers),
        alt.Tooltip("n:Q", format=","),
    ]


def values(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Give rows as the data of a chart."""
    return alt.InlineData(values=[dict(row) for row in rows])


def finished(chart: Chart, title: str, said: str, width: int = PAGE) -> Any:
    """Give a chart with its title, what it is of, and the look that all have."""
    fold = int(width / (10 * _WIDE * 0.95))
    heading = alt.TitleParams(
        text=textwrap.wrap(title, int(width / (13 * _WIDE))),
        subtitle=textwrap.wrap(said, fold),
        anchor="start",
        frame="bounds",
        color=INK,
        fontSize=13,
        fontWeight=600,
        subtitleFontSize=10,
        subtitleColor=SOFT,
        subtitlePadding=4,
        offset=12,
    )
    return chart.properties(title=heading, padding=4, background="white").configure(**_config())


def _config() -> dict[str, Any]:
    text = {"labelFontSize": TEXT - 1, "titleFontSize": TEXT, "labelColor": INK, "titleColor": INK}
    plain = {"titleFontWeight": "normal", "labelLimit": 0, "titleLimit": 0}
    return {
        "font": FONT,
        "lineBreak": "\n",
        "view": {"stroke": LINE, "strokeWidth": 1},
        "axis": {
            **text,
            **plain,
            "gridColor": "#eceef1",
            "domainColor": SOFT,
            "tickColor": SOFT,
            "tickSize": 3,
            "labelFlush": False,
        },
        "header": {**text, **plain, "labelFontSize": TEXT, "labelPadding": 4},
        "legend": {
            **text,
            "titleFontWeight": "normal",
            "labelFontSize": TEXT,
            "rowPadding": 3,
            "columnPadding": 14,
            "offset": 10,
        },
        "concat": {"spacing": 24},
        "facet": {"spacing": 14},
    }
