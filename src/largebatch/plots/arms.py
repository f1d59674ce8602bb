"""What the figures of remedies share: the arms in order, their kinds, colours and labels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from largebatch.plots import select, style
from largebatch.remedies import SLOTS

NONE = "no remedied runs"
# Kind of remedy -> colour and marker. Colours differ in lightness too; the markers say the same.
KINDS = {
    "learning rate or batch size": ("#00785a", "^"),
    "optimizer, normalization, averaging": ("#b07500", "s"),
    "weight update": ("#8c3f86", "D"),
    "data or loss": ("#2b2b2b", "v"),
    "combination": ("#d9559b", "P"),
}
_KIND_OF_SLOT = {
    "learning rate": "learning rate or batch size",
    "batch size": "learning rate or batch size",
    "update": "weight update",
    "data": "data or loss",
    "loss": "data or loss",
}


def names(settings: dict) -> list[str]:
    """Return the arms in the order of the study."""
    return list(settings.get("remedies", {}).get("arms", {}))


def kind(settings: dict, arm: str) -> str:
    """Return what kind of remedy an arm is, a key of KINDS."""
    remedies = [name for name in settings["remedies"]["arms"][arm] if name in SLOTS]
    if len(remedies) > 1:
        return "combination"
    slot = SLOTS[remedies[0]] if remedies else ""
    return _KIND_OF_SLOT.get(slot, "optimizer, normalization, averaging")


def look(settings: dict, arm: str) -> tuple[str, str]:
    """Return the colour and marker of SB, LB or an arm."""
    if arm in style.METHOD_COLOURS:
        return style.METHOD_COLOURS[arm], "o"
    return KINDS[kind(settings, arm)]


def label(arm: str) -> str:
    """Return an arm's name as it stands in figures."""
    return arm.upper() if arm in select.MAIN else arm


def handles(settings: dict) -> list[Line2D]:
    """Return the legend entries of the kinds of remedies that the study has."""
    present = {kind(settings, arm) for arm in names(settings)}
    return [
        Line2D([], [], color=colour, marker=marker, ls="", ms=7, label=name)
        for name, (colour, marker) in KINDS.items()
        if name in present
    ]


def measured(frames: dict, settings: dict, network: str) -> pd.DataFrame:
    """Return method, trial, test_accuracy, sharpness of the completed runs of SB, LB and the arms.

    Args:
        frames: the tidy tables runs and sharpness.
        settings: epsilons (the first is used) and remedies.
        network: its name.
    """
    runs = frames["runs"]
    mine = runs[(runs["network"] == network) & runs["role"].isin(["main", "remedy"])]
    measures = select.final_sharpness(frames["sharpness"], settings["epsilons"][0], network)
    table = select.with_sharpness(select.completed(mine), measures)
    return table[["method", "trial", "test_accuracy", "sharpness"]]


def spread(places: np.ndarray, gap: float) -> np.ndarray:
    """Return places as near as can be to the given ones, in [0, 1] and `gap` apart.

    Args:
        places: in any order; the result has the same order.
        gap: wanted distance; where there is no room for it, the largest equal distance.
    """
    if len(places) == 0:
        return np.asarray(places, dtype=float)
    order = np.argsort(places, kind="stable")
    gap = min(gap, 1 / max(len(places) - 1, 1))
    shifts = gap * np.arange(len(places))
    # Least squares under "sorted": what is left once the wanted distances are taken off.
    moved = isotonic_regression(np.asarray(places, dtype=float)[order] - shifts).x
    result = np.empty(len(places))
    result[order] = np.clip(moved, 0.0, 1.0 - shifts[-1]) + shifts
    return result


def label_beside(axis: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Name points in a column right of the panel, each joined to its point by a thin line.

    Args:
        axis: with linear y and its final limits.
        points: x, y (data), text and colour.
    """
    low, high = axis.get_ylim()
    height = axis.figure.get_figheight() / max(axis.get_gridspec().nrows, 1)
    wanted = np.array([(y - low) / (high - low) for _, y, _, _ in points])
    for (x, y, text, colour), place in zip(points, spread(wanted, 0.19 / height), strict=True):
        axis.annotate(
            *(text, (x, y)),
            xytext=(1.04, place),
            textcoords="axes fraction",
            ha="left",
            va="center",
            color=colour,
            fontsize=style.SMALL,
            weight="bold" if text in ("SB", "LB") else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.35, "linewidth": 0.7},
            annotation_clip=False,
        )
