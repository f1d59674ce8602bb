"""Figure 6: sharpness against the training loss along SB and LB runs."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "sharpness")


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw the iterates of one trial in the order of epochs; the loss falls to the right."""
    trial = settings["trajectory_trial"]
    rows = frames["sharpness"]
    rows = rows[rows["epoch"].notna() & rows["method"].isin(select.MAIN) & (rows["trial"] == trial)]
    everyone = select.network_names(frames)
    networks = [n for n in everyone if (rows["network"] == n).any()]
    figure, axes = panels.grid(len(networks))
    failed = select.failures(frames["runs"], everyone, select.MAIN, [trial])
    if not networks:
        panels.say_why_empty(axes[0], failed)
    for axis, network in zip(axes, networks, strict=False):
        own = rows[rows["network"] == network]
        epsilon = select.measured_epsilon(own, settings["epsilons"][0])
        axis.set_title(f"{select.panel_title(frames, network)}, trial {trial}")
        _panel(axis, select.iterate_sharpness(own, epsilon, network), epsilon)
    absent = [n for n in everyone if n not in networks]
    note = f"Not measured along runs: {', '.join(absent)}." if absent and networks else ""
    lost = panels.left_out(failed) if networks else ""
    panels.footnote(figure, [note, lost, panels.hidden_zeros(rows["sharpness"])])
    panels.legend(figure, _handles())
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, epsilon: float) -> None:
    for method in select.MAIN:
        run = rows[(rows["method"] == method) & (rows["sharpness"] > 0) & (rows["base"] > 0)]
        run = run.sort_values("epoch")
        if run.empty:
            continue
        colour = style.METHOD_COLOURS[method]
        x, y = run["base"].to_numpy(), run["sharpness"].to_numpy()
        axis.plot(x, y, "-", color=colour, linewidth=1.2, alpha=0.8)
        axis.plot(x[1:-1], y[1:-1], "o", color=colour, markersize=4)
        axis.plot(x[:1], y[:1], "o", color=colour, markersize=8, markerfacecolor="white", mew=1.8)
        axis.plot(x[-1:], y[-1:], "o", color=colour, markersize=9)
        for place, side, align in ((0, -9, "right"), (-1, 9, "left")):
            axis.annotate(
                *(f"{run['epoch'].iloc[place]:g}", (x[place], y[place])),
                xytext=(side, 0),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=style.SMALL,
                color=colour,
            )
    axis.set(xscale="log", yscale="log")
    axis.margins(0.13, 0.1)
    panels.log_scale(axis, "x")
    panels.log_scale(axis, "y")
    axis.invert_xaxis()
    axis.set_xlabel("training cross entropy (falls to the right →)")
    axis.set_ylabel(panels.sharpness_label(epsilon))


def _handles() -> list[Line2D]:
    hollow = {"marker": "o", "ls": "", "color": style.MUTED, "markerfacecolor": "white"}
    return [
        *panels.method_handles(marker="o", ms=4),
        Line2D([], [], **hollow, ms=8, label="first epoch measured"),
        Line2D([], [], marker="o", ls="", color=style.MUTED, ms=9, label="last epoch"),
    ]
