"""Appendix C: the parallel efficiency of SB below which LB reaches the same accuracy sooner."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from largebatch.plots import panels, select, style

TABLES = ("networks", "runs", "history")
SIDE_COLOURS = {"lb": "#f3d3bd", "sb": "#cfe3f0"}  # light shades of LB and SB
WIDEST = 1.5  # the axis ends here, whatever lies beyond: efficiencies end at 1
HALF = 0.32  # half the height of a network's bar; networks are 1 apart


def efficiencies(frames: dict, network: str) -> pd.Series:
    """Return the break-even efficiency (I_s B_s) / (I_l B_l) by trial.

    Iterations are counted up to the first epoch with the testing accuracy of LB's last iterate.
    Trials with both runs completed only; infinite where SB never gets there, NaN where both are
    there from the start.
    """
    runs = select.completed(select.role_runs(frames["runs"], network, "main"))
    history = frames["history"]
    history = history[history["network"] == network].sort_values("epoch")
    samples = {}
    for run in runs.itertuples():
        curve = history[history["trial"] == run.trial].set_index(["method", "epoch"])
        curve = curve["test_accuracy"]
        if {*select.MAIN} <= {*curve.index.get_level_values("method")}:
            reached = curve[run.method] >= curve["lb"].iloc[-1]
            epochs = reached.idxmax() if reached.any() else np.inf
            batches = run.steps // max(run.epochs, 1)
            samples[run.trial, run.method] = float(epochs * batches * run.batch_size)
    table = pd.Series(samples, dtype=float)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["trial", "method"])
    pairs = table.unstack().reindex(columns=list(select.MAIN)).dropna()
    return pairs["sb"] / pairs["lb"].where(pairs["lb"] > 0)


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the geometric mean and its 95% interval, Student's t on the logarithms (or NaN)."""
    logs = np.log(values)
    if len(logs) < 2:
        return float(values[0]), np.nan, np.nan
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    low, middle, high = np.exp(logs.mean() + half * np.array([-1, 0, 1]))
    return float(middle), float(low), float(high)


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a bar a network: where LB is faster, where SB is; trials as points above them."""
    networks = select.network_names(frames)
    found = {network: efficiencies(frames, network) for network in networks}
    figure = Figure((7.6, 1.5 + 0.62 * max(len(networks), 1)), layout="constrained")
    axis = figure.subplots()
    finite = {n: values[np.isfinite(values)].to_numpy() for n, values in found.items()}
    if not any(len(values) for values in found.values()) and frames["runs"].empty:
        panels.say(axis, "not measured")
        return figure
    largest = max((values.max(initial=0) for values in finite.values()), default=0)
    end = min(WIDEST, max(1.02, 1.06 * largest))
    for place, network in enumerate(networks):
        _row(axis, place, found[network], finite[network], end)
    axis.axvline(1.0, color=style.MUTED, linestyle=":", linewidth=1.3, zorder=3)
    labels = [select.panel_title(frames, network).replace(" · ", "\n") for network in networks]
    axis.set_yticks(range(len(networks)), labels)
    axis.set(xlim=(0, end), ylim=(len(networks) - 0.5, -0.5))
    axis.set_xlabel("parallel efficiency of SB, $f_s(P)$; 1: SB scales perfectly")
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False)
    panels.legend(figure, _handles(), columns=4)
    failed = select.failures(frames["runs"], networks, select.MAIN)
    panels.footnote(figure, [_censored(found), panels.left_out(failed)])
    return figure


def _row(axis: Axes, place: int, found: pd.Series, finite: np.ndarray, end: float) -> None:
    if not len(finite):
        words = "both are there from the start" if len(found) else "no complete pair"
        words = "SB never reached LB's testing accuracy" if np.isposinf(found).any() else words
        where = axis.get_yaxis_transform()
        axis.text(0.02, place, words, va="center", color=style.MUTED, transform=where)
        return
    middle, low, high = interval(finite)
    bar = {"height": 2 * HALF, "linewidth": 0, "zorder": 1}
    edge = min(middle, 1.0)  # there is no efficiency above 1
    axis.barh(place, edge, color=SIDE_COLOURS["lb"], **bar)
    axis.barh(place, 1 - edge, left=edge, color=SIDE_COLOURS["sb"], **bar)
    axis.plot([middle, middle], [place - HALF, place + HALF], color=style.LOSS, lw=2.2, zorder=4)
    if np.isfinite(low):
        axis.plot([low, high], [place, place], color=style.LOSS, linewidth=1.6, zorder=4)
    # A little up and down trial by trial, so that equal values do not hide each other.
    side = np.linspace(-0.16, 0.16, len(finite)) if len(finite) > 1 else np.zeros(1)
    points = {"color": style.MUTED, "mec": "white", "mew": 0.6, "ms": 5, "zorder": 5}
    inside = finite <= end
    axis.plot(finite[inside], place + side[inside], "o", **points)
    if not inside.all():
        edge = np.full((~inside).sum(), 0.985 * end)
        axis.plot(edge, place + side[~inside], ">", **points | {"ms": 7})
    shown = _short(middle)
    if np.isfinite(low):
        shown += f" [{_short(low)}, {_short(high)}]"
    axis.annotate(
        *(shown, (1.0, place)),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        weight="bold",
        fontsize=style.SMALL,
        annotation_clip=False,
    )


def _short(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= value < 10 else f"{value:.2g}"


def _censored(found: dict[str, pd.Series]) -> str:
    counts = {n: int(np.isposinf(v).sum()) for n, v in found.items()}
    pieces = [f"{n} in {k} of {len(found[n])} trials" for n, k in counts.items() if k]
    if not pieces:
        return ""
    return f"SB never reached LB's testing accuracy (left out): {', '.join(pieces)}."


def _handles() -> list:
    return [
        Patch(color=SIDE_COLOURS["lb"], label="LB is faster"),
        Patch(color=SIDE_COLOURS["sb"], label="SB is faster"),
        Line2D([], [], color=style.LOSS, lw=2.2, label="break-even, 95% interval"),
        Line2D([], [], marker="o", ls="", color=style.MUTED, mec="white", label="single trials"),
    ]
