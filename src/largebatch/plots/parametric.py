"""Loss and accuracy along a path from the SB to the LB minimizer: shared by Figures 3 and 7."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, select, style

LINES = (("train", style.TRAIN_STYLE), ("test", style.TEST_STYLE))


def draw_path(frames: dict[str, pd.DataFrame], settings: dict, path: str, formula: str) -> Figure:
    """Draw loss (left axis) and accuracy (right axis) against alpha, one panel a network.

    Args:
        frames: the tidy tables `networks`, `runs` and `interpolation`.
        settings: `figure_trial` says which trial's pair of runs is drawn for each network.
        path: `linear` or `curvilinear`.
        formula: the path's equation, for the axis label.
    """
    networks = select.network_names(frames)
    figure, axes = panels.grid(len(networks))
    table = frames["interpolation"]
    for axis, network in zip(axes, networks, strict=True):
        trial = settings["figure_trial"].get(network, 0)
        curve = table[
            (table["network"] == network) & (table["path"] == path) & (table["trial"] == trial)
        ]
        title = select.panel_title(frames, network)
        axis.set_title(f"{title}, trial {trial}", pad=17)
        if curve.empty:
            failed = select.failures(frames["runs"], [network], select.MAIN, [trial])
            panels.say_why_empty(axis, failed)
            continue
        classes = int(frames["networks"].set_index("network").at[network, "classes"])
        _panel(axis, curve.sort_values("alpha"), loss_limit(curve, classes))
    figure.supxlabel(f"α,  weights = {formula}", fontsize=10)
    panels.legend(figure, handles())
    return figure


def loss_limit(curve: pd.DataFrame, classes: int) -> float:
    """Return the top of the loss axis: 1.5 times the loss of guessing, ln(classes), or all data.

    Far from the minimizers the loss grows without bound; drawn in full it would hide the minima.
    What lies between SB and LB always fits.
    """
    losses = curve[["train_loss", "test_loss"]].where(np.isfinite)
    between = losses[curve["alpha"].between(0, 1)].max().max()
    limit = np.nanmax([1.5 * math.log(max(classes, 2)), 1.1 * between])
    highest = losses.max().max()
    return float(min(limit, 1.05 * highest)) if highest > 0 else float(limit)


def _panel(axis: Axes, curve: pd.DataFrame, limit: float) -> None:
    right = panels.right_axis(axis, style.ACCURACY)
    alpha = curve["alpha"].to_numpy()
    for part, line in LINES:
        # An infinite loss leaves through the top instead of breaking the line.
        loss = curve[f"{part}_loss"].to_numpy(dtype=float)
        loss = np.where(np.isposinf(loss), 100 * limit, loss)
        axis.plot(alpha, loss, color=style.LOSS, linestyle=line)
        right.plot(alpha, curve[f"{part}_accuracy"], color=style.ACCURACY, linestyle=line)
    axis.set_ylim(-0.03 * limit, limit)
    right.set_ylim(-3, 103)
    axis.set_xlim(alpha.min(), alpha.max())
    axis.set_ylabel("cross entropy", color=style.LOSS)
    right.set_ylabel("accuracy, %", color=style.ACCURACY)
    panels.mark_methods(axis, {"sb": 0, "lb": 1})


def handles() -> list[Line2D]:
    """Return the legend entries of loss and accuracy, on training and testing data."""
    return [
        Line2D([], [], color=colour, linestyle=line, label=f"{part}ing {name}")
        for name, colour in (("loss (left axis)", style.LOSS), ("accuracy (right)", style.ACCURACY))
        for part, line in LINES
    ]
