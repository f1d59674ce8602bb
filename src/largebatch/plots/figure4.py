"""Figure 4: testing accuracy and sharpness against the batch size."""

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "sharpness")


def batch_size_table(frames: dict, network: str, epsilon: float) -> pd.DataFrame:
    """Return one row a run: batch_size, trial, test_accuracy, sharpness; the sweep with SB and LB.

    Only trials that the sweep covers are kept, so that every mean is over the same trials.
    """
    sweep = select.role_runs(frames["runs"], network, "sweep")
    main = select.role_runs(frames["runs"], network, "main")
    main = main[main["trial"].isin(sweep["trial"])]
    runs = select.completed(pd.concat([sweep, main]))
    measures = select.final_sharpness(frames["sharpness"], epsilon, network)
    return select.with_sharpness(runs, measures).sort_values(["batch_size", "trial"])


def sweep_epsilon(frames: dict, settings: dict, network: str) -> float:
    """Return the epsilon at which the network's sweep was measured."""
    methods = select.role_runs(frames["runs"], network, "sweep")["method"]
    rows = frames["sharpness"]
    rows = rows[(rows["network"] == network) & rows["method"].isin(methods)]
    return select.measured_epsilon(rows, settings["epsilons"][0])


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw points for trials and lines through their means, one panel a network with a sweep."""
    runs = frames["runs"]
    networks, note = select.networks_with(frames, "sweep", "batch-size sweep")
    figure, axes = panels.grid(len(networks))
    if not networks:
        panels.say(axes[0], "not measured: the study has no batch-size sweep")
    failed, zeros = [], []
    for axis, network in zip(axes, networks, strict=False):
        sweep = select.role_runs(runs, network, "sweep")
        lost = select.failures(runs, [network], [*sweep["method"].unique(), *select.MAIN])
        failed += lost
        epsilon = sweep_epsilon(frames, settings, network)
        table = batch_size_table(frames, network, epsilon)
        axis.set_title(select.panel_title(frames, network), pad=17)
        if table.empty:
            panels.say_why_empty(axis, lost)
            continue
        sizes = frames["networks"].set_index("network").loc[network]
        places = {method: sizes[f"{method}_batch_size"] for method in select.MAIN}
        _panel(axis, table, epsilon, places.values())
        panels.mark_methods(axis, places)
        zeros += table["sharpness"].tolist()
    panels.footnote(figure, [note, panels.left_out(failed), panels.hidden_zeros(zeros)])
    panels.legend(figure, _handles())
    return figure


def _panel(axis: Axes, table: pd.DataFrame, epsilon: float, main: Iterable[float]) -> None:
    right = panels.right_axis(axis, style.SHARPNESS)
    groups = table.groupby("batch_size")
    means = groups["test_accuracy"].mean()
    positive = table[table["sharpness"] > 0]
    axis.plot(table["batch_size"], table["test_accuracy"], "o", color=style.ACCURACY, alpha=0.35)
    axis.plot(means.index, means, "-o", color=style.ACCURACY)
    right.plot(
        positive["batch_size"], positive["sharpness"], "s", color=style.SHARPNESS, alpha=0.35
    )
    means = groups["sharpness"].apply(select.geometric_mean).dropna()
    right.plot(means.index, means, "--s", color=style.SHARPNESS)
    axis.set_xscale("log")
    sizes = sorted(table["batch_size"].unique())
    columns = axis.get_gridspec().ncols
    axis.set_xticks(sizes, tick_labels(sizes, main, axis.figure.get_figwidth() / columns))
    axis.xaxis.set_minor_locator(NullLocator())
    if not positive.empty:
        panels.log_scale(right, "y")
    axis.set_xlabel("batch size, samples")
    axis.set_ylabel("testing accuracy, %", color=style.ACCURACY)
    axis.tick_params(axis="y", colors=style.ACCURACY)
    right.set_ylabel(panels.sharpness_label(epsilon), color=style.SHARPNESS)


def tick_labels(sizes: list[float], first: Iterable[float] = (), width: float = 4.6) -> list[str]:
    """Return a label for each batch size; one that would touch another is left empty.

    Args:
        sizes: batch sizes in rising order.
        first: those that are labelled before all others, which follow from left to right.
        width: of the whole panel in inches.
    """
    scale = (width - 1.6) / max(math.log(sizes[-1] / sizes[0]), 1e-9)  # inches a unit of the log
    taken: dict[float, tuple[float, float]] = {}
    for size in (*(size for size in first if size in sizes), *sizes):
        half = 0.04 * len(f"{size:g}") + 0.05  # a digit is 0.08 inches wide
        left, right = scale * math.log(size) - half, scale * math.log(size) + half
        if all(right <= low or high <= left for low, high in taken.values()):
            taken[size] = (left, right)
    return [f"{size:g}" if size in taken else "" for size in sizes]


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=style.ACCURACY, marker="o", label="testing accuracy (left axis)"),
        Line2D([], [], color=style.SHARPNESS, marker="s", ls="--", label="sharpness (right, log)"),
        Line2D([], [], color=style.MUTED, marker="o", ls="", alpha=0.4, label="single trials"),
    ]
