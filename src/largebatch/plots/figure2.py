"""Figure 2: training and testing accuracy of SB and LB runs, epoch by epoch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "history")
# Training curves often coincide: the wide SB line then shows on both sides of the LB line.
TRAIN_WIDTHS = {"sb": 3.2, "lb": 1.4}
QUANTITIES = {"train_accuracy": style.TRAIN_STYLE, "test_accuracy": style.TEST_STYLE}


def accuracy_by_epoch(history: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return one row an epoch and one column a trial; a run that stopped keeps its last value."""
    return history.pivot(index="epoch", columns="trial", values=quantity).sort_index().ffill()


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw the mean over trials as a line and the smallest to largest trial as a band."""
    networks = select.network_names(frames)
    figure, axes = panels.grid(len(networks))
    for axis, network in zip(axes, networks, strict=True):
        axis.set_title(select.panel_title(frames, network))
        _panel(axis, frames, network)
    lines = [
        Line2D([], [], color=style.MUTED, linestyle=line, label=label)
        for line, label in ((style.TRAIN_STYLE, "training"), (style.TEST_STYLE, "testing"))
    ]
    panels.legend(figure, [*panels.method_handles(linewidth=5), *lines])
    failed = select.failures(frames["runs"], networks, select.MAIN)
    panels.footnote(figure, [panels.left_out(failed)])
    return figure


def _panel(axis: Axes, frames: dict[str, pd.DataFrame], network: str) -> None:
    finished = select.completed(select.role_runs(frames["runs"], network, "main"))
    history = frames["history"]
    history = history[history["network"] == network].merge(
        finished[["method", "trial"]], on=["method", "trial"]
    )
    if history.empty:
        panels.say_why_empty(axis, select.failures(frames["runs"], [network], select.MAIN))
        return
    lowest = []
    for method in select.MAIN:
        rows = history[history["method"] == method]
        for quantity, line in QUANTITIES.items():
            table = accuracy_by_epoch(rows, quantity)
            if table.empty:
                continue
            colour = style.METHOD_COLOURS[method]
            width = TRAIN_WIDTHS[method] if quantity == "train_accuracy" else 1.8
            axis.plot(table.index, table.mean(axis=1), color=colour, ls=line, lw=width)
            axis.fill_between(
                *(table.index, table.min(axis=1), table.max(axis=1)),
                color=colour,
                alpha=0.18,
                linewidth=0,
            )
            lowest.append(np.nanquantile(table.min(axis=1), 0.1))
    # The first epochs rise from chance and would press the part of interest against the top.
    bottom = min(lowest)
    margin = 0.04 * (100 - bottom)
    axis.set(xlabel="epoch", ylabel="accuracy, %", ylim=(bottom - margin, 100 + margin))
    axis.set_xlim(0, history["epoch"].max())
