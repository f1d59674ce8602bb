"""Remedies: testing accuracy against sharpness, a point a run, SB and LB among them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import arms, panels, select, style

TABLES = ("networks", "runs", "sharpness")
FAR = 3.0  # quartile ranges beyond the quartiles; what lies farther out stands at the frame


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw small marks for runs, joined to the mean of their arm, which is named at the right."""
    networks, note = select.networks_with(frames, "remedy", "remedied runs")
    columns = min(max(len(networks), 1), 2)
    rows = -(-max(len(networks), 1) // columns)
    height = max(4.6, 0.2 * len(arms.names(settings)) + 1.0)  # room for all names
    figure = Figure((5.6 * columns, height * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[max(len(networks), 1) :]:
        spare.remove()
    if not networks:
        panels.say(axes[0], f"not measured: {arms.NONE}")
    methods = [*select.MAIN, *arms.names(settings)]
    zeros, beyond = [], []
    for axis, network in zip(axes, networks, strict=False):
        axis.set_title(select.panel_title(frames, network))
        table = arms.measured(frames, settings, network)
        zeros += table["sharpness"].tolist()
        table = table[table["sharpness"] > 0].dropna()
        table = table[table["method"].isin(methods)]
        if table.empty:
            lost = select.failures(frames["runs"], [network], methods)
            panels.say(axis, f"run failed: {len(lost)} runs" if lost else "not measured")
            continue
        beyond += _panel(axis, table, settings, network)
    failed = select.failures(frames["runs"], networks, methods)
    far = f"Far out, drawn at the frame: {', '.join(beyond)}." if beyond else ""
    panels.footnote(figure, [note, far, panels.left_out(failed), panels.hidden_zeros(zeros)])
    panels.legend(figure, [*panels.method_handles(marker="o", ls="", ms=7), *_handles(settings)])
    return figure


def means(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Return the mean accuracy and the geometric mean sharpness by method, in the given order.

    Args:
        table: method, test_accuracy, sharpness (positive).
        order: methods; those without a run are left out.
    """
    groups = table.groupby("method")
    middle = groups["sharpness"].apply(select.geometric_mean)
    result = pd.DataFrame({"test_accuracy": groups["test_accuracy"].mean(), "sharpness": middle})
    return result.reindex([name for name in order if name in result.index])


def fences(values: np.ndarray) -> tuple[float, float]:
    """Return the range outside of which a value would press all others together (Tukey's fences).

    Args:
        values: finite numbers, at least one.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    reach = FAR * (high - low) if high > low else np.inf
    return float(low - reach), float(high + reach)


def _panel(axis: Axes, table: pd.DataFrame, settings: dict, network: str) -> list[str]:
    """Draw one network; return the arms that lie far out, with their values."""
    middle = means(table, [*select.MAIN, *arms.names(settings)])
    floor, ceiling = fences(middle["test_accuracy"].to_numpy())
    left, right = np.exp(fences(np.log(middle["sharpness"].to_numpy())))
    points, beyond = [], []
    for name, row in middle.iterrows():
        colour, marker = arms.look(settings, name)
        runs = table[table["method"] == name]
        x, y = np.clip(row["sharpness"], left, right), np.clip(row["test_accuracy"], floor, ceiling)
        inside = (x, y) == (row["sharpness"], row["test_accuracy"])
        if not inside:
            value = f"{row['test_accuracy']:.1f}%, φ {row['sharpness']:.2g}%"
            beyond.append(f"{network} {arms.label(name)} ({value})")
        else:
            for run in runs.itertuples():
                place = ([x, run.sharpness], [y, run.test_accuracy])
                axis.plot(*place, color=colour, linewidth=0.6, alpha=0.35, zorder=2)
            style_of_runs = {"color": colour, "ms": 3, "alpha": 0.55, "mew": 0, "zorder": 3}
            axis.plot(runs["sharpness"], runs["test_accuracy"], marker, **style_of_runs)
        look = {"color": colour if inside else "white", "mec": "white" if inside else colour}
        size = 10 if name in select.MAIN else 8
        axis.plot([x], [y], marker, ms=size, mew=0.8, zorder=5, **look)
        points.append((x, y, arms.label(name), colour))
    axis.set_xlabel(panels.sharpness_label(settings["epsilons"][0]))
    axis.set_ylabel("testing accuracy, %")
    axis.margins(0.06)
    panels.log_scale(axis, "x")
    axis.set_ylim(axis.get_ylim())
    arms.label_beside(axis, points)
    return beyond


def _handles(settings: dict) -> list[Line2D]:
    single = Line2D([], [], color=style.MUTED, marker="o", ls="", ms=3, label="single runs")
    return [*arms.handles(settings), single]
