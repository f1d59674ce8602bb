"""The plot of the suite: a line a row, how far its ratio is from its target."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.page import quartiles, target
from benchmarks.suite import Row
from largebatch.plots.style import ACCURACY, MUTED, WARNING, themed

LOOK = {True: (ACCURACY, "o"), False: (WARNING, "X"), None: (MUTED, "D")}


def merit(row: Row, ratio: float) -> float:
    """Return how many times the target a ratio is, above 1 where it is met."""
    goal = 1.0 if row.target is None else row.target
    return ratio / goal if row.at_least else goal / max(ratio, 1e-9)


@themed
def draw(rows: Sequence[Row]) -> Figure:
    """Return the figure; met targets are green dots to the right of the line, others red crosses.

    Args:
        rows: at least one. One without a target is held against 1 and drawn in grey.
    """
    figure = Figure(figsize=(9.6, 1.4 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color=MUTED, linewidth=1.2, zorder=1)
    for place, row in enumerate(rows):
        colour, marker = LOOK[row.met]
        low, high = (None, None) if row.given else quartiles(row.ratios)
        if low is not None:
            ends = [merit(row, low), merit(row, high)]
            axes.plot(ends, [place, place], color=colour, linewidth=3, alpha=0.45)
        axes.plot(merit(row, row.ratio), place, marker, color=colour, markersize=8)
        goal = "" if row.target is None else f" (target {target(row)})"
        axes.annotate(
            f"{row.ratio:.3g} {row.unit}{goal}",
            xy=(1.01, place),
            xycoords=("axes fraction", "data"),
            **{"va": "center", "fontsize": 9, "color": colour, "annotation_clip": False},
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [f"{row.name}\nagainst {row.other}" for row in rows])
    axes.tick_params(axis="y", labelsize=8.5, length=0)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("times the target (right of the line: met)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title("Against what a user would write instead, and the machine's limit")
    return figure
