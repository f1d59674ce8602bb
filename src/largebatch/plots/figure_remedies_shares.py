"""Remedies at a glance: which share of the gap in accuracy and in sharpness each closes."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from largebatch import shares
from largebatch.plots import arms, panels, select, style

TABLES = ("networks", "runs", "sharpness")
QUANTITIES = {"test_accuracy": style.ACCURACY, "sharpness": style.SHARPNESS}
FARTHEST = (-1.0, 2.0)  # the frame ends here at the latest; an arrow head says what lies beyond
ALWAYS = (-0.15, 1.15)
ROW = 0.26  # inches an arm


def share_of(table: pd.DataFrame, arm: str, quantity: str) -> shares.Share:
    """Return the share that an arm closes over the trials with SB, LB and the arm.

    Args:
        table: `arms.measured` of one network.
        arm: its name.
        quantity: test_accuracy, or sharpness, which is compared in log scale.
    """
    wide = table.pivot(index="trial", columns="method", values=quantity)
    wide = wide.reindex(columns=[arm, "lb", "sb"]).dropna()
    close = shares.share_closed_log if quantity == "sharpness" else shares.share_closed
    return close(wide[arm], wide["lb"], wide["sb"])


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a row an arm, best on top: point and 95% interval for accuracy and for sharpness."""
    networks, note = select.networks_with(frames, "remedy", "remedied runs")
    order = arms.names(settings)
    if not networks:
        figure, axes = panels.grid(1)
        panels.say(axes[0], f"not measured: {arms.NONE}")
        return figure
    found = {}
    for network in networks:
        table = arms.measured(frames, settings, network)
        for quantity in QUANTITIES:
            for arm in order:
                found[network, arm, quantity] = share_of(table, arm, quantity)
    order = ranked(order, networks, found)
    columns = min(len(networks), 2)
    rows = -(-len(networks) // columns)
    height = rows * (ROW * max(len(order), 3) + 1.1) + 0.7
    figure = Figure((2.6 + 4.2 * columns, height), layout="constrained")
    axes = figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)
    for pair, network in zip(axes, networks, strict=False):
        for axis, quantity in zip(pair, QUANTITIES, strict=True):
            mine = [found[network, arm, quantity] for arm in order]
            _panel(axis, mine, quantity, network)
        pair[0].set_title(select.panel_title(frames, network), pad=20)
    for place, axis in enumerate(figure.axes):
        named = place % (2 * columns) == 0
        axis.set_yticks(range(len(order)), order if named else [])
    for spare in axes[len(networks) :].ravel():
        spare.remove()
    panels.legend(figure, _handles())
    failed = select.failures(frames["runs"], networks, [*select.MAIN, *order])
    panels.footnote(figure, [note, panels.left_out(failed)])
    return figure


def ranked(order: list[str], networks: list[str], found: dict) -> list[str]:
    """Return the arms by the share of the accuracy gap that they close, mean over networks.

    Only shares with an interval count where there is one: over a gap that may be 0, a share can be
    of any size.

    Args:
        order: of the study, kept between equals; arms without such a share come last.
        networks: their names.
        found: (network, arm, quantity) -> share.
    """

    def merit(arm: str) -> float:
        mine = [found[network, arm, "test_accuracy"] for network in networks]
        values = [share.value for share in mine if share.kind in sure]
        return float(np.mean(values)) if values else -math.inf

    kinds = {share.kind for (_, _, quantity), share in found.items() if quantity != "sharpness"}
    sure = {shares.INTERVAL} & kinds or {shares.ONE_PAIR, shares.OUTSIDE, shares.UNBOUNDED}
    return sorted(order, key=merit, reverse=True)


def _panel(axis: Axes, found: list[shares.Share], quantity: str, network: str) -> None:
    kinds = {share.kind for share in found}
    axis.set_ylim(len(found) - 0.5, -0.5)
    if kinds <= {shares.NOT_MEASURED, shares.NO_GAP}:
        behind = "SB is not above LB" if quantity == "test_accuracy" else "LB is not sharper"
        nothing = f"no gap to close: {behind}" if shares.NO_GAP in kinds else "not measured"
        panels.say(axis, nothing)
        axis.set_xlabel(quantity.replace("test_", ""))
        return
    ends = [value for share in found for value in (share.value, share.low, share.high)]
    ends = [value for value in ends if math.isfinite(value)]
    low = max(FARTHEST[0], min([ALWAYS[0], *(end - 0.05 for end in ends)]))
    high = min(FARTHEST[1], max([ALWAYS[1], *(end + 0.05 for end in ends)]))
    axis.set_xlim(low, high)
    for place, share in enumerate(found):
        _row(axis, place, share, QUANTITIES[quantity], (low, high))
    for method, where in (("lb", 0.0), ("sb", 1.0)):
        axis.axvline(where, color=style.METHOD_COLOURS[method], linewidth=1.1, zorder=1)
    panels.mark_methods(axis, {"lb": 0.0, "sb": 1.0})
    if quantity == "sharpness":  # where the verdict on "stays sharp" is decided
        axis.axvline(0.5, color=style.MUTED, linestyle=":", linewidth=1.0, zorder=1)
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%".replace("-", "−"))
    axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2.5, 5, 10]))
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(_subtitle(found, quantity), color=QUANTITIES[quantity])


def _subtitle(found: list[shares.Share], quantity: str) -> str:
    """Return what the gap is; over the trials of the arm that has most."""
    gap = max(found, key=lambda share: share.pairs).gap
    if quantity == "test_accuracy":
        return f"closed of the accuracy gap\n(SB − LB: {gap:.2f} points)"
    return f"closed of the log sharpness\n(LB / SB: ×{math.exp(gap):.2g})"


def _row(
    axis: Axes, place: int, share: shares.Share, colour: str, frame: tuple[float, float]
) -> None:
    """Draw a share; what is no interval is drawn as what it is, dashed to the frame."""
    low, high = frame
    sure = share.kind == shares.INTERVAL and not share.infinite
    if share.kind in (shares.NOT_MEASURED, shares.NO_GAP):
        words = "no gap" if share.kind == shares.NO_GAP else "no complete trial"
        look = {"color": style.MUTED, "fontsize": style.SMALL, "ha": "center", "va": "center"}
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axis.text(0.5, place, words, transform=axis.get_yaxis_transform(), bbox=box, **look)
        return
    pieces = {
        shares.INTERVAL: [(share.low, share.high)],
        shares.OUTSIDE: [(low - 1, share.low), (share.high, high + 1)],
        shares.UNBOUNDED: [(low - 1, high + 1)],
        shares.ONE_PAIR: [(share.value, share.value)],
    }[share.kind]
    line = "-" if share.kind == shares.INTERVAL else (0, (2, 2))
    for start, end in pieces:
        span = np.clip([start, end], low, high)
        if start < high and end > low:
            axis.plot(span, [place, place], color=colour, ls=line, linewidth=1.8, zorder=3)
        for beyond, edge, head in ((start < low, low, "<"), (end > high, high, ">")):
            if beyond:
                axis.plot([edge], [place], head, color=colour, ms=6, clip_on=False, zorder=4)
    if low <= share.value <= high:
        inside = colour if sure else "white"
        look = {"color": inside, "mec": colour if not sure else "white", "ms": 6, "zorder": 5}
        axis.plot([share.value], [place], "o", mew=1.3 if not sure else 0.7, **look)


def _handles() -> list[Line2D]:
    colour = style.MUTED
    return [
        Line2D([], [], color=colour, marker="o", ms=7, mec="white", label="share, 95% interval"),
        Line2D(
            *([], []),
            **{"color": colour, "marker": "o", "ms": 7, "mfc": "white", "ls": (0, (2, 2))},
            label="no finite interval: the gap may be 0, or one trial",
        ),
        Line2D([], [], color=colour, ls=":", lw=1.0, label="half of the sharpness"),
    ]
