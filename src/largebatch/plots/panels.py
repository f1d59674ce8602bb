"""Parts that the figures share: the grid of panels, the legend, notes and words in empty panels."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from largebatch.plots import style

_COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2}
_PANEL_WIDTH = {1: 6.4, 2: 4.6, 3: 3.7}


def grid(count: int, height: float = 3.1) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels (at least one) and the panels in reading order.

    Args:
        count: number of panels.
        height: height of one panel in inches.
    """
    count = max(count, 1)
    columns = _COLUMNS.get(count, 3)
    rows = math.ceil(count / columns)
    figure = Figure((columns * _PANEL_WIDTH[columns], rows * height + 0.5), layout="constrained")
    # Where rows follow each other, a title must not touch the ticks above it.
    figure.get_layout_engine().set(wspace=0.06, **({"hspace": 0.05} if rows > 1 else {}))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def stacked(count: int, height: float = 2.3) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return a figure of `count` (upper, lower) pairs of panels, each pair with one x axis."""
    count = max(count, 1)
    columns = _COLUMNS.get(count, 3)
    bands = math.ceil(count / columns)
    size = (columns * _PANEL_WIDTH[columns], 2 * bands * height + 0.6)
    figure = Figure(size, layout="constrained")
    figure.get_layout_engine().set(wspace=0.04)
    axes = figure.subplots(2 * bands, columns, squeeze=False)
    pairs = [
        (axes[2 * (i // columns), i % columns], axes[2 * (i // columns) + 1, i % columns])
        for i in range(bands * columns)
    ]
    for upper, lower in pairs[:count]:
        lower.sharex(upper)
        upper.tick_params(labelbottom=False)
    for spare in pairs[count:]:
        for axis in spare:
            axis.remove()
    return figure, pairs[:count]


def say(axis: Axes, words: str, width: int = 34) -> None:
    """Write into an empty panel why it is empty, in lines of at most `width` characters."""
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.text(
        *(0.5, 0.5, textwrap.fill(words, width)),
        transform=axis.transAxes,
        ha="center",
        va="center",
        color=style.MUTED,
    )


def say_why_empty(axis: Axes, failed: Sequence[str], width: int = 34) -> None:
    """Write into an empty panel that its runs failed, or that nothing was measured."""
    say(axis, f"run failed: {', '.join(failed)}" if failed else "not measured", width)


def right_axis(axis: Axes, colour: str) -> Axes:
    """Return a second y axis on the right, in the colour of what it measures."""
    right = axis.twinx()
    right.tick_params(axis="y", which="both", colors=colour)
    right.grid(visible=False)
    right.spines[["top", "left", "bottom"]].set_visible(False)
    right.spines["right"].set(visible=True, color=colour)
    return right


def log_scale(axis: Axes, which: str) -> None:
    """Make the `x` or `y` axis logarithmic, with readable ticks; call it after all data is drawn.

    Ticks are plain numbers where these are short, and a short range gets ticks at 2 and 5.
    """
    axis.set(**{f"{which}scale": "log"})
    line = axis.xaxis if which == "x" else axis.yaxis
    low, high = sorted(axis.get_xlim() if which == "x" else axis.get_ylim())
    narrow = high / low < 300
    plain = low >= 5e-4 and high < 2e5
    line.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    line.set_major_formatter(FuncFormatter(lambda value, _: _number(value, plain)))
    line.set_minor_formatter(NullFormatter())


def _number(value: float, plain: bool) -> str:
    if plain:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10.0**exponent)
    return f"$10^{{{exponent}}}$" if factor == 1 else f"${factor}\\times10^{{{exponent}}}$"


def mark_methods(axis: Axes, places: dict[str, float]) -> None:
    """Mark the places of SB and LB on the x axis by lines that are named above the panel."""
    for method, place in places.items():
        colour = style.METHOD_COLOURS[method]
        axis.axvline(place, color=colour, linewidth=1.2, zorder=1)
        axis.annotate(
            *(method.upper(), (place, 1.0)),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=colour,
            weight="bold",
        )


def method_handles(**look) -> list[Line2D]:
    """Return the legend entries of SB and LB as lines; `look` is passed to them."""
    return [
        Line2D([], [], color=style.METHOD_COLOURS[name], label=style.METHOD_LABELS[name], **look)
        for name in style.METHOD_COLOURS
    ]


def legend(figure: Figure, handles: Sequence, columns: int | None = None) -> None:
    """Put one legend above all panels, where it covers no data."""
    columns = columns or len(handles)
    if columns * 1.9 > figure.get_figwidth():  # about 1.9 inches an entry
        columns = max(1, int(figure.get_figwidth() / 1.9))
    figure.legend(handles=list(handles), loc="outside upper center", ncols=columns)


def footnote(figure: Figure, notes: Sequence[str]) -> None:
    """Write notes (what is left out and why) below all panels; empty ones are skipped."""
    width = int(figure.get_figwidth() * 14)
    lines = [textwrap.fill(note, width) for note in notes if note]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=style.SMALL, color=style.WARNING)


def left_out(failed: Sequence[str]) -> str:
    """Return the note that names failed runs, or nothing."""
    return f"Failed and left out: {', '.join(failed)}." if failed else ""


def hidden_zeros(values) -> str:
    """Return the note that a log axis hides values of zero, or nothing."""
    zeros = int((np.asarray(values, dtype=float) == 0).sum())
    return f"{zeros} sharpness value(s) of exactly 0 lie below the log axis." if zeros else ""


def sharpness_label(epsilon: float) -> str:
    """Return the axis label of the sharpness at one epsilon."""
    return f"sharpness φ (ε = {epsilon:g}), %"
