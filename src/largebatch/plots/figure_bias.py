"""The bias of decentralized training: how momentum enlarges it, and how DecentLaM does not."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, style

TABLES = ("decentralized_bias",)
DMSGD, DECENTLAM, THEORY = "#b35900", "#00785a", "#8a8a8a"
MARKERS = {"ring": "o", "mesh": "s", "exponential": "^", "full": "D"}
# Ends of panels without anything to show still have to be numbers.
SMALLEST = 0.6


def ratios(frame: pd.DataFrame, gamma: float, algorithm: str, topology: str) -> pd.DataFrame:
    """Return mean, smallest and largest ratio over the problems, a row a beta, in order.

    DSGD is the first row: both other algorithms are DSGD at beta 0.
    """
    rows = frame[(frame["gamma"] == gamma) & frame["algorithm"].isin(["dsgd", algorithm])]
    rows = rows[rows["topology"] == topology].dropna(subset="ratio")
    return rows.groupby("beta")["ratio"].agg(["mean", "min", "max"]).sort_index()


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a panel a step size: squared bias over DSGD's against momentum, both axes logarithmic.

    The momentum axis is 1 / (1 - beta), the factor by which momentum lengthens a step.
    """
    frame = frames["decentralized_bias"]
    gammas = sorted(frame["gamma"].unique(), reverse=True)
    shown = [t for t in MARKERS if t in set(frame.dropna(subset="ratio")["topology"])]
    figure, axes = panels.grid(len(gammas), height=3.3)
    if not shown:
        panels.say(axes[0], "no topology has a bias")
        return figure
    betas = np.sort(frame["beta"].unique())
    top = 2.0 * max(frame["ratio"].max(), frame["theory"].max())
    for axis, gamma in zip(axes, gammas, strict=False):
        for place, topology in enumerate(shown):
            _curve(axis, ratios(frame, gamma, "dmsgd", topology), DMSGD, topology, place)
            _curve(axis, ratios(frame, gamma, "decentlam", topology), DECENTLAM, topology, place)
        axis.plot(1 / (1 - betas), (1 - betas) ** -2.0, color=THEORY, ls=style.TEST_STYLE, zorder=1)
        axis.set_title(f"step size γ = {_power(gamma)}")
        axis.set(xscale="log", yscale="log", ylim=(SMALLEST, top))
        axis.set_xticks(1 / (1 - betas), [f"{beta:g}" for beta in betas])
        axis.minorticks_off()
        axis.set_xlabel("momentum β")
    for axis in axes:
        panels.log_scale(axis, "y")
    axes[0].set_ylabel("squared bias, relative to DSGD's")
    panels.legend(figure, _handles(shown), columns=3)
    return figure


def _curve(axis: Axes, found: pd.DataFrame, colour: str, topology: str, place: int) -> None:
    if found.empty:
        return
    x = 1 / (1 - found.index.to_numpy())
    look = {"color": colour, "marker": MARKERS[topology], "mec": "white", "mew": 0.7, "ms": 6}
    axis.plot(x, found["mean"], lw=1.4, zorder=3 + place, **look)
    axis.vlines(x, found["min"], found["max"], color=colour, lw=1.2, zorder=2)


def _power(value: float) -> str:
    exponent = round(np.log10(value))
    exact = np.isclose(value, 10.0**exponent, rtol=1e-9)
    return f"$10^{{{exponent}}}$" if exact else f"{value:g}"


def _handles(shown: list[str]) -> list:
    lines = [
        Line2D([], [], color=DMSGD, label="DmSGD"),
        Line2D([], [], color=DECENTLAM, label="DecentLaM"),
        Line2D([], [], color=THEORY, ls=style.TEST_STYLE, label="$1/(1-β)^2$, the limit γ → 0"),
    ]
    marks = {"color": style.MUTED, "ls": "", "mec": "white", "ms": 7}
    return lines + [Line2D([], [], marker=MARKERS[name], label=name, **marks) for name in shown]
