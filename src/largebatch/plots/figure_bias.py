"""The bias of decentralized training: how momentum enlarges it, and how DecentLaM does not."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, style

TABLES = ("decentralized_bias",)
COLOURS = {"dmsgd": "#b35900", "decentlam": "#0f6fa8"}
LABELS = {"dmsgd": "DmSGD", "decentlam": "DecentLaM"}
LIMIT = "#8a8a8a"
MARKERS = {"ring": "o", "mesh": "s", "exponential": "^", "full": "D"}


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

    Momentum stands at 1 / (1 - beta), the factor by which it lengthens a step.
    """
    frame = frames["decentralized_bias"]
    gammas = sorted(frame["gamma"].unique(), reverse=True)
    shown = [t for t in MARKERS if t in set(frame.dropna(subset="ratio")["topology"])]
    figure, axes = panels.grid(len(gammas) if shown else 1, height=3.4)
    if not shown:
        panels.say(axes[0], "no topology has a bias")
        return figure
    for axis, gamma in zip(axes, gammas, strict=True):
        for algorithm, colour in COLOURS.items():
            for topology in shown:
                _curve(axis, ratios(frame, gamma, algorithm, topology), colour, topology)
        axis.plot(1, 1, "o", color=style.LOSS, ms=8, zorder=5)
        axis.set_title(f"step size γ = {_size(gamma)}")
        axis.set_xlabel("momentum β")
    _scales(axes, np.sort(frame["beta"].unique()), frame["ratio"].max())
    axes[0].set_ylabel("squared bias, relative to DSGD's")
    panels.legend(figure, _handles(shown), columns=4)
    panels.footnote(figure, [_unsettled(frame[frame["topology"].isin(shown)])])
    return figure


def _curve(axis: Axes, found: pd.DataFrame, colour: str, topology: str) -> None:
    x = 1 / (1 - found.index.to_numpy())
    look = {"color": colour, "marker": MARKERS[topology], "mec": "white", "mew": 0.7, "ms": 6}
    axis.plot(x, found["mean"], lw=1.4, zorder=3, **look)
    axis.vlines(x, found["min"], found["max"], color=colour, lw=1.4, zorder=2)


def _scales(axes: list[Axes], betas: np.ndarray, largest: float) -> None:
    """Draw the limit into all panels and give them the same logarithmic axes."""
    x = 1 / (1 - betas)
    for axis in axes:
        axis.plot(x, x**2, color=LIMIT, ls=style.TEST_STYLE, zorder=1)
        axis.set_ylim(0.6, 1.8 * max(largest, x.max() ** 2))
        panels.log_scale(axis, "y")
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{beta:g}" for beta in betas])
        axis.minorticks_off()
        axis.tick_params(labelleft=axis is axes[0] or axis.get_subplotspec().is_first_col())


def _size(gamma: float) -> str:
    factor, exponent = f"{gamma:.3g}".split("e") if gamma < 1e-4 else (f"{gamma:g}", "")
    power = f"10^{{{int(exponent)}}}" if exponent else ""
    if not power:
        return factor
    return f"$\\mathbf{{{power if factor == '1' else factor + '·' + power}}}$"


def _unsettled(frame: pd.DataFrame) -> str:
    lost = frame[frame["squared_error"].isna() & frame["algorithm"].isin(COLOURS)]
    places = lost.drop_duplicates(["algorithm", "beta", "gamma"])
    words = [
        f"{LABELS[row.algorithm]} at β = {row.beta:g}, γ = {row.gamma:g}"
        for row in places.itertuples()
    ]
    return f"Left out, for it reached no fixed point: {'; '.join(words)}." if words else ""


def _handles(shown: list[str]) -> list:
    dot = {"color": style.LOSS, "marker": "o", "ls": "", "ms": 8}
    lines = [Line2D([], [], label=LABELS[name], color=COLOURS[name]) for name in COLOURS]
    lines += [
        Line2D([], [], label="DSGD (no momentum)", **dot),
        Line2D([], [], label="$1/(1-β)^2$", color=LIMIT, ls=style.TEST_STYLE),
    ]
    marks = {"color": style.MUTED, "ls": "", "mec": "white", "ms": 7}
    return lines + [Line2D([], [], marker=MARKERS[name], label=name, **marks) for name in shown]
