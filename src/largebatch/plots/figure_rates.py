"""Learning rates of the remedied arms by epoch, and their batch sizes where these change."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from largebatch.plots import arms, panels, select, style

TABLES = ("networks", "runs", "history")
COLUMNS = 4
# Networks by colour and dash, as often as needed.
LOOKS = (
    ("#00785a", "-"),
    ("#8c3f86", (0, (5, 1.5))),
    ("#b07500", (0, (1.5, 1))),
    ("#2b2b2b", (0, (6, 1.5, 1.5, 1.5))),
)
PLAIN = "#b8b8b8"
CLOSE = 1e-6  # relative; rates that differ less are the same


def traces(frames: dict, network: str, method: str, column: str) -> pd.DataFrame:
    """Return a column of the history with one row an epoch (from 1 on) and one column a trial.

    Args:
        frames: the tidy tables runs and history; of completed runs only.
        network, method: whose.
        column: learning_rate or batch_size.
    """
    runs = select.completed(frames["runs"])
    runs = runs[(runs["network"] == network) & (runs["method"] == method)]
    table = frames["history"]
    chosen = (table["network"] == network) & (table["method"] == method) & (table["epoch"] > 0)
    chosen &= table["trial"].isin(runs["trial"])
    return table[chosen].pivot(index="epoch", columns="trial", values=column).sort_index()


def factor_of_plain(rates: pd.DataFrame, plain: pd.DataFrame) -> float | None:
    """Return the factor by which all rates differ from LB's at every epoch; None if there is none.

    Args:
        rates, plain: as `traces` gives them, of an arm and of LB.
    """
    if rates.empty or plain.empty:
        return None
    ratios = rates.div(plain.iloc[:, 0], axis=0).dropna(how="all").to_numpy()
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios) or np.ptp(ratios) > CLOSE * abs(ratios[0]):
        return None
    return float(ratios[0])


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw a panel for every arm whose rate or batch size takes another course than LB's."""
    networks, note = select.networks_with(frames, "remedy", "remedied runs")
    order = arms.names(settings)
    rates = {(n, a): traces(frames, n, a, "learning_rate") for n in networks for a in order}
    plain = {network: traces(frames, network, "lb", "learning_rate") for network in networks}
    factors = {key: factor_of_plain(found, plain[key[0]]) for key, found in rates.items()}
    sizes = {key: traces(frames, *key, "batch_size") for key in rates}
    shown = [
        arm
        for arm in order
        if any(
            len(rates[n, arm]) and (factors[n, arm] is None or _changes(sizes[n, arm]))
            for n in networks
        )
    ]
    figure, axes = _grid(len(shown))
    if not shown:
        same = any(len(found) for found in rates.values())
        panels.say(axes[0], "all arms keep LB's course" if same else "not measured")
    for axis, arm in zip(axes, shown, strict=False):
        axis.set_title(arm, fontsize=9.5)
        for place, network in enumerate(networks):
            _lines(axis, plain[network].iloc[:, :1], PLAIN, "-", 1.3)
            # Where networks coincide, the wider line of the first shows on both sides.
            _lines(axis, rates[network, arm], *LOOKS[place % len(LOOKS)], 1.3 if place else 3.0)
        _frame(axis)
        changing = [sizes[network, arm] for network in networks if _changes(sizes[network, arm])]
        if changing:
            _batch_sizes(axis, changing[0])
    for axis in axes[-COLUMNS:]:
        axis.set_xlabel("epoch")
        axis.tick_params(labelbottom=True)
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("learning rate")
    failed = select.failures(frames["runs"], networks, ["lb", *order])
    panels.footnote(figure, [note, _same(factors, shown, networks), panels.left_out(failed)])
    panels.legend(figure, _handles(networks, any(_changes(found) for found in sizes.values())))
    return figure


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    if count < COLUMNS:
        return panels.grid(count, 2.6)
    rows = -(-count // COLUMNS)
    figure = Figure((11.0, 2.1 * rows + 1.1), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel().tolist()
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def _changes(sizes: pd.DataFrame) -> bool:
    return bool(len(sizes)) and sizes.stack().nunique() > 1


def _lines(axis: Axes, rates: pd.DataFrame, colour: str, dash, width: float) -> None:
    positive = rates.where(rates > 0)
    for trial in positive:
        axis.plot(positive.index, positive[trial], color=colour, linestyle=dash, linewidth=width)


def _frame(axis: Axes) -> None:
    """Set the axes; a rate that hardly changes must not fill the panel with its ticks."""
    axis.set_xlim(left=0)
    values = np.concatenate([line.get_ydata() for line in axis.lines] or [np.ones(1)])
    low, high = np.nanmin(values), np.nanmax(values)
    if high < 3 * low:
        axis.set_ylim(low / 2, high * 2)
    panels.log_scale(axis, "y")


def _batch_sizes(axis: Axes, sizes: pd.DataFrame) -> None:
    right = panels.right_axis(axis, style.LB)
    right.step(sizes.index, sizes.iloc[:, 0], where="mid", color=style.LB, linewidth=1.3, ls=":")
    right.set_ylim(bottom=0)
    right.set_ylabel("batch size", color=style.LB, fontsize=style.SMALL)


def _same(factors: dict, shown: list[str], networks: list[str]) -> str:
    """Return the note on the arms without a panel, by the factors to which they were tuned."""
    groups: dict[str, list[str]] = {}
    for arm in dict.fromkeys(arm for _, arm in factors if arm not in shown):
        known = {n: _short(factors[n, arm]) for n in networks if factors[n, arm] is not None}
        if len(set(known.values())) == 1:
            text = f"× {next(iter(known.values()))}"
        else:
            text = " and ".join(f"× {value} ({network})" for network, value in known.items())
        if known:
            groups.setdefault(text, []).append(arm)
    pieces = [f"{text} for {', '.join(names)}" for text, names in groups.items()]
    return f"The course of LB's rate, {'; '.join(pieces)}." if pieces else ""


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _handles(networks: list[str], growing: bool) -> list[Line2D]:
    lines = [
        Line2D([], [], color=colour, ls=dash, lw=1.5, label=f"{network}, a line a trial")
        for network, (colour, dash) in zip(networks, LOOKS * len(networks), strict=False)
    ]
    lines.append(Line2D([], [], color=PLAIN, lw=1.5, label="plain LB"))
    size = Line2D([], [], color=style.LB, ls=":", lw=1.5, label="batch size (right axis)")
    return [*lines, *([size] if growing else [])]
