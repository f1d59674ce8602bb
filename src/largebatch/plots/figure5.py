"""Figure 5: large-batch runs that start from an iterate of a small-batch run (warm start)."""

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "history", "sharpness")
DENSE = 25  # from so many warm starts on, marks would hide the lines


def warm_table(frames: dict, network: str, epsilon: float) -> pd.DataFrame:
    """Return one row an LB run: warm_epochs (0: the cold run), trial, test_accuracy, sharpness."""
    runs = frames["runs"]
    warm = select.role_runs(runs, network, "warm")
    main = select.role_runs(runs, network, "main")
    cold = main[(main["method"] == "lb") & main["trial"].isin(warm["trial"])]
    table = select.completed(pd.concat([warm, cold.assign(warm_epochs=0.0)]))
    measures = select.final_sharpness(frames["sharpness"], epsilon, network)
    return select.with_sharpness(table, measures).sort_values(["warm_epochs", "trial"])


def small_batch(frames: dict, network: str, epsilon: float) -> tuple[pd.Series, float, float]:
    """Return the SB runs' testing accuracy by epoch, at the end, and their final sharpness.

    All are means over the trials that were warm-started from (geometric for the sharpness).
    """
    trials = select.role_runs(frames["runs"], network, "warm")["trial"].unique()
    runs = select.completed(select.role_runs(frames["runs"], network, "main"))
    runs = runs[(runs["method"] == "sb") & runs["trial"].isin(trials)]
    history = frames["history"].merge(runs[["network", "method", "trial"]])
    table = history.pivot(index="epoch", columns="trial", values="test_accuracy")
    measures = select.final_sharpness(frames["sharpness"], epsilon, network)
    final = select.with_sharpness(runs, measures)
    by_epoch = table.sort_index().ffill().mean(axis=1)
    return by_epoch, final["test_accuracy"].mean(), select.geometric_mean(final["sharpness"])


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw testing accuracy (upper) and sharpness (lower) against the epochs of warm start."""
    runs = frames["runs"]
    networks, note = select.networks_with(frames, "warm", "warm starts")
    figure, pairs = panels.stacked(len(networks))
    if not networks:
        for axis in pairs[0]:
            panels.say(axis, "not measured: the study has no warm starts")
    failed, values = [], []
    for (upper, lower), network in zip(pairs, networks, strict=False):
        warm = select.role_runs(runs, network, "warm")
        methods = [*warm["method"].unique(), *select.MAIN]
        lost = select.failures(runs, [network], methods, warm["trial"].unique())
        failed += lost
        rows = frames["sharpness"]
        rows = rows[(rows["network"] == network) & rows["method"].isin(warm["method"])]
        epsilon = select.measured_epsilon(rows, settings["epsilons"][0])
        table = warm_table(frames, network, epsilon)
        upper.set_title(select.panel_title(frames, network))
        if table.empty:
            panels.say_why_empty(upper, lost)
            panels.say_why_empty(lower, lost)
            continue
        reference = small_batch(frames, network, epsilon)
        _accuracy(upper, table, reference)
        _sharpness(lower, table, reference[2], epsilon)
        values += table["sharpness"].tolist()
    panels.footnote(figure, [note, panels.left_out(failed), panels.hidden_zeros(values)])
    figure.align_ylabels()
    panels.legend(figure, _handles())
    return figure


def _accuracy(axis: Axes, table: pd.DataFrame, reference: tuple) -> None:
    by_epoch, final, _ = reference
    axis.plot(by_epoch.index, by_epoch, color=style.SB, linewidth=1.3)
    axis.axhline(final, color=style.SB, linestyle=":", linewidth=1.3)
    _points(axis, table, "test_accuracy", pd.Series.mean)
    # SB iterates rise from chance in the first epochs: those may leave through the bottom.
    solutions, risen = table["test_accuracy"], by_epoch.iloc[len(by_epoch) // 5 :]
    bottom = min(solutions.min(), risen.min(), final)
    top = max(solutions.max(), by_epoch.max(), final)
    span = top - bottom
    if pd.notna(span) and span > 0:
        axis.set_ylim(bottom - 0.1 * span, top + 0.1 * span)
    axis.set_ylabel("testing accuracy, %")


def _sharpness(axis: Axes, table: pd.DataFrame, final: float, epsilon: float) -> None:
    positive = table[table["sharpness"] > 0]
    axis.set_xlabel("warm-start epochs")
    if positive.empty:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center")
        return
    _points(axis, positive, "sharpness", select.geometric_mean)
    if final > 0:
        axis.axhline(final, color=style.SB, linestyle=":", linewidth=1.3)
    panels.log_scale(axis, "y")
    axis.set_ylabel(panels.sharpness_label(epsilon))


def _points(axis: Axes, table: pd.DataFrame, quantity: str, average: Callable) -> None:
    """Draw LB solutions: trials as points, their mean as a line, the cold run's as a reference."""
    means = table.groupby("warm_epochs")[quantity].apply(average)
    dense = len(means) >= DENSE
    if table["trial"].nunique() > 1:
        size = {"ms": 2, "mew": 0} if dense else {}
        axis.plot(table["warm_epochs"], table[quantity], "o", color=style.LB, alpha=0.3, **size)
    axis.plot(means.index, means, "-" if dense else "-o", color=style.LB)
    if 0.0 in means.index:
        axis.axhline(means[0.0], color=style.LB, linestyle=":", linewidth=1.3)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=style.SB, linewidth=1.3, label="SB iterates"),
        Line2D([], [], color=style.SB, linestyle=":", label="SB final"),
        Line2D([], [], color=style.LB, marker="o", label="LB started from an SB iterate"),
        Line2D([], [], color=style.LB, linestyle=":", label="LB cold start"),
    ]
