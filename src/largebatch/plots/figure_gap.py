"""The headline figure: testing accuracy and sharpness of SB and LB, paired by trial."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "sharpness")
PAIR_COLOUR = "#8a8a8a"
HALF = 0.2  # half the distance between the SB and the LB column of one network


def pairs(frames: dict, network: str, quantity: str, epsilon: float) -> pd.DataFrame:
    """Return one row a trial with columns `sb` and `lb`, trials complete in both only."""
    runs = select.completed(select.role_runs(frames["runs"], network, "main"))
    measures = select.final_sharpness(frames["sharpness"], epsilon, network)
    table = select.with_sharpness(runs, measures).pivot(
        index="trial", columns="method", values=quantity
    )
    return table.reindex(columns=list(select.MAIN)).dropna()


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a line a trial from its SB to its LB run, with the mean difference or ratio above."""
    networks = select.network_names(frames)
    epsilon = settings["epsilons"][0]
    figure = Figure((min(11.0, 6.4 + len(networks)), 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_title("Testing accuracy; LB − SB in points")
    right.set_title("Sharpness; LB / SB as a factor")
    left.set_ylabel("testing accuracy, %")
    right.set_ylabel(panels.sharpness_label(epsilon))
    zeros = []
    for place, network in enumerate(networks):
        accuracy = pairs(frames, network, "test_accuracy", epsilon)
        _columns(left, place, accuracy, _difference(accuracy))
        sharpness = pairs(frames, network, "sharpness", epsilon)
        zeros += sharpness.to_numpy().ravel().tolist()
        sharpness = sharpness[(sharpness > 0).all(axis=1)]
        _columns(right, place, sharpness, _ratio(sharpness))
    labels = [select.panel_title(frames, n).replace(" · ", "\n") for n in networks]
    for axis in (left, right):
        axis.set_xticks(range(len(networks)), labels)
        axis.set_xlim(-0.6, len(networks) - 0.4)
        axis.margins(y=0.16)
    if right.lines:
        panels.log_scale(right, "y")
    failed = select.failures(frames["runs"], networks, select.MAIN)
    panels.footnote(figure, [panels.left_out(failed), panels.hidden_zeros(zeros)])
    panels.legend(figure, _handles())
    return figure


def _columns(axis: Axes, place: int, table: pd.DataFrame, label: str) -> None:
    if table.empty:
        axis.text(
            *(place, 0.5, "no complete\npair of runs"),
            transform=axis.get_xaxis_transform(),
            ha="center",
            va="center",
            color=style.MUTED,
        )
        return
    # A little to the side trial by trial, so that equal values do not hide each other.
    side = np.linspace(-0.06, 0.06, len(table)) if len(table) > 1 else np.zeros(1)
    for shift, row in zip(side, table.itertuples(), strict=True):
        x = [place - HALF + shift, place + HALF + shift]
        axis.plot(x, [row.sb, row.lb], color=PAIR_COLOUR, linewidth=0.9, zorder=1)
    for method, column in zip(select.MAIN, (place - HALF, place + HALF), strict=True):
        colour = style.METHOD_COLOURS[method]
        axis.plot(column + side, table[method], "o", color=colour, ms=7, mec="white", mew=0.7)
    top = table.to_numpy().max()
    axis.annotate(
        *(label, (place, top)),
        xytext=(0, 10),
        textcoords="offset points",
        ha="center",
        weight="bold",
    )


def _difference(table: pd.DataFrame) -> str:
    return f"{(table['lb'] - table['sb']).mean():+.1f}".replace("-", "−")


def _ratio(table: pd.DataFrame) -> str:
    ratio = float(np.exp(np.log(table["lb"] / table["sb"]).mean()))
    return f"×{ratio:.3g}"


def _handles() -> list[Line2D]:
    return [
        *panels.method_handles(marker="o", ls="", ms=6.5),
        Line2D([], [], color=PAIR_COLOUR, linewidth=0.9, label="pair with the same start"),
    ]
