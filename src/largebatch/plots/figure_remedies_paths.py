"""Loss and accuracy on the straight line from SB's minimizer to that of LB, plain and remedied."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from largebatch.plots import arms, panels, parametric, select, style

TABLES = ("networks", "runs", "interpolation", "remedy_paths")
COLUMNS = 6


def curves(frames: dict, settings: dict, network: str) -> tuple[int, dict[str, pd.DataFrame]]:
    """Return the trial that is shown and the path to each method's minimizer, plain LB first.

    Args:
        frames: the tidy tables interpolation and remedy_paths.
        settings: remedies.
        network: its name.
    """
    table = frames["remedy_paths"]
    table = table[table["network"] == network].sort_values("alpha")
    trial = int(table["trial"].iloc[0]) if len(table) else settings["figure_trial"].get(network, 0)
    plain = frames["interpolation"]
    plain = plain[(plain["network"] == network) & (plain["path"] == "linear")]
    found = {"lb": plain[plain["trial"] == trial].sort_values("alpha")}
    return trial, found | {arm: table[table["method"] == arm] for arm in arms.names(settings)}


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a small panel an arm, with the same axes for all arms of a network."""
    networks, note = select.networks_with(frames, "remedy", "remedied runs")
    if not networks:
        figure, axes = panels.grid(1)
        panels.say(axes[0], f"not measured: {arms.NONE}")
        return figure
    count = 1 + len(arms.names(settings))
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    size = (max(6.4, 1.95 * columns), len(networks) * (1.9 * rows + 0.4) + 1.2)
    figure = Figure(size, layout="constrained")
    figure.get_layout_engine().set(wspace=0.02, hspace=0.03)
    parts = figure.subfigures(len(networks), 1, squeeze=False).ravel().tolist()
    for part, network in zip(parts, networks, strict=True):
        _network(part, frames, settings, network, (rows, columns))
    figure.supxlabel(
        "α,  weights = α · LB or remedied LB + (1 − α) · SB" + (f"\n{note}" if note else ""),
        fontsize=10,
    )
    panels.legend(figure, _handles(), columns=3)
    return figure


def _network(part: SubFigure, frames: dict, settings: dict, network: str, grid) -> None:
    trial, found = curves(frames, settings, network)
    title = f"{select.panel_title(frames, network)}, trial {trial}"
    part.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=10.5)
    axes = part.subplots(*grid, squeeze=False)
    classes = int(frames["networks"].set_index("network").at[network, "classes"])
    drawn = [curve for curve in found.values() if len(curve)]
    limit = parametric.loss_limit(pd.concat(drawn), classes) if drawn else 1.0
    places = axes.ravel().tolist()
    for place, (axis, (name, curve)) in enumerate(zip(places, found.items(), strict=False)):
        colour = style.METHOD_COLOURS.get(name, style.LOSS)
        axis.set_title(arms.label(name), fontsize=8.5, color=colour, pad=4, loc="center")
        if curve.empty:
            lost = select.failures(frames["runs"], [network], [name, "sb"], [trial])
            panels.say_why_empty(axis, lost, 16)
            continue
        column = place % grid[1]
        _panel(axis, curve, limit, column == 0, column == grid[1] - 1)
    for spare in places[len(found) :]:
        spare.remove()


def _panel(axis: Axes, curve: pd.DataFrame, limit: float, first: bool, last: bool) -> None:
    """Draw one path; only the first and last panel of a row carry the numbers of the y axes."""
    right = panels.right_axis(axis, style.ACCURACY)
    alpha = curve["alpha"].to_numpy(dtype=float)
    for quantity, line in parametric.LINES:
        # An infinite loss leaves through the top instead of breaking the line.
        loss = curve[f"{quantity}_loss"].to_numpy(dtype=float)
        loss = np.where(np.isposinf(loss), 100 * limit, loss)
        axis.plot(alpha, loss, color=style.LOSS, linestyle=line, linewidth=1.3)
        right.plot(
            *(alpha, curve[f"{quantity}_accuracy"]),
            **{"color": style.ACCURACY, "linestyle": line, "linewidth": 1.3},
        )
    for method, where in (("sb", 0.0), ("lb", 1.0)):
        axis.axvline(where, color=style.METHOD_COLOURS[method], linewidth=1.0, zorder=1)
    axis.set(xlim=(alpha.min(), alpha.max()), ylim=(-0.03 * limit, limit))
    right.set_ylim(-3, 103)
    axis.tick_params(labelleft=first, labelsize=8)
    right.tick_params(axis="y", labelright=last, labelsize=8)
    if first:
        axis.set_ylabel("cross entropy", color=style.LOSS, fontsize=style.SMALL)
    if last:
        right.set_ylabel("accuracy, %", color=style.ACCURACY, fontsize=style.SMALL)


def _handles() -> list[Line2D]:
    ends = {"sb": "SB (α = 0)", "lb": "LB, plain or remedied (α = 1)"}
    lines = [
        Line2D([], [], color=style.METHOD_COLOURS[name], lw=1.2, label=text)
        for name, text in ends.items()
    ]
    return [*parametric.handles(), *lines]
