"""Figure 1: a conceptual sketch of a flat and a sharp minimum (no data)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from largebatch.plots import panels, style

TABLES: tuple[str, ...] = ()
FLAT, SHARP, SHIFT = -1.6, 1.8, 0.16  # minimizers, and how far testing is moved from training


def training_function(x: np.ndarray) -> np.ndarray:
    """Return an invented training function with equal minima, wide at -1.6 and narrow at 1.8."""
    wide = np.exp(-(((x - FLAT) / 1.15) ** 4))
    narrow = np.exp(-(((x - SHARP) / 0.3) ** 2))
    return 1.0 - 0.9 * wide - 0.9 * narrow


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw the sketch; neither table nor setting is used (Figure 1 of the paper)."""
    figure = Figure((7.2, 3.3), layout="constrained")
    axis = figure.subplots()
    x = np.linspace(-3.6, 3.3, 700)
    (train,) = axis.plot(x, training_function(x), color=style.LOSS, label="training function")
    (test,) = axis.plot(
        *(x, training_function(x - SHIFT)),
        color=style.LOSS,
        linestyle=style.TEST_STYLE,
        linewidth=1.3,
        label="testing function",
    )
    _mark(axis, FLAT, "flat minimum", "testing loss\nstays low", (0, 34), style.SB)
    _mark(axis, SHARP, "sharp minimum", "testing loss\nis high", (88, 4), style.LB)
    axis.set(xlabel="weights", ylabel="loss", xticks=[], yticks=[])
    axis.set(xlim=(x[0], x[-1]), ylim=(-0.12, 1.12))
    axis.grid(visible=False)
    panels.legend(figure, [train, test])
    return figure


def _mark(axis, minimizer: float, name: str, consequence: str, offset: tuple, colour: str) -> None:
    """Mark a minimizer and how much higher the testing function is there."""
    low = float(training_function(np.array(minimizer)))
    high = float(training_function(np.array(minimizer - SHIFT)))
    axis.plot([minimizer, minimizer], [low, high], color=colour, linewidth=3)
    axis.plot([minimizer], [low], "o", color=colour, markersize=8)
    axis.plot([minimizer], [high], "o", color=colour, markersize=8, markerfacecolor="white")
    axis.annotate(
        *(name, (minimizer, low)),
        xytext=(0, -17),
        textcoords="offset points",
        ha="center",
        color=colour,
        weight="bold",
    )
    axis.annotate(
        *(consequence, (minimizer, high)),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        color=colour,
        arrowprops={"arrowstyle": "-", "color": colour, "shrinkB": 5, "linewidth": 1},
    )
