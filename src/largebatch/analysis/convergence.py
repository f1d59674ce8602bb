"""How we know that the training loss has ceased to improve."""

import math

import numpy as np
import pandas as pd

from largebatch.analysis import selection

LAST_SHARE = 0.1  # the end of a run that is looked at, as a share of its epochs
THRESHOLD = 0.01  # at most this share of the whole decrease may happen there


def last_decrease(losses) -> tuple[float, float, float]:
    """Return what the end of a run gained: share of the whole decrease, in nats, and relatively.

    With losses L_0 (before training) ... L_E and m = max(1, ceil(0.1 E)), the gain in nats is
    L_{E-m} - L_E, negative where the loss rose; the share is that over L_0 - L_E (NaN where nothing
    was gained at all), the relative gain that over L_{E-m} (NaN where this is 0 already).

    Args:
        losses: training losses of one run in the order of its epochs, at least two.
    """
    losses = np.asarray(losses, dtype=float)
    last = max(1, math.ceil(LAST_SHARE * (len(losses) - 1)))
    before, end = losses[-1 - last], losses[-1]
    gain, total = before - end, losses[0] - end
    share = gain / total if total > 0 else math.nan
    return float(share), float(gain), float(gain / before if before > 0 else math.nan)


def convergence_table(frames: dict) -> pd.DataFrame:
    """Return, for SB and LB, what the last 10% of the epochs still gained.

    Returns:
        One row a network and method: trials, epochs (largest), final_loss_median, _max,
        final_train_accuracy_mean (percent), then of the last 10% of the epochs late_share_median,
        _max (share of the whole decrease of the training loss), late_decrease_median, _max (nats),
        late_relative_median (share of the loss before them), threshold, and ceased: whether
        late_share_max is below the threshold. The cross entropy can shrink towards 0 for ever once
        all samples are classified right: `ceased` is meant in absolute terms.
    """
    rows = []
    for network in selection.network_names(frames):
        good = selection.completed(frames, network)
        history = frames["history"]
        for method in ("sb", "lb"):
            mine = good[good["method"] == method]
            trials = mine["trial"]
            chosen = history[(history["network"] == network) & (history["method"] == method)]
            chosen = chosen[chosen["trial"].isin(trials)].sort_values("epoch")
            runs = [run["train_loss"].to_numpy(float) for _, run in chosen.groupby("trial")]
            runs = [losses for losses in runs if len(losses) > 1]
            if runs:
                accuracy = {"final_train_accuracy_mean": mine["train_accuracy"].mean()}
                rows.append({"network": network, "method": method} | _row(runs) | accuracy)
    return selection.as_frame(rows)


def _row(runs: list[np.ndarray]) -> dict:
    shares, gains, relative = np.array([last_decrease(losses) for losses in runs]).T
    final = np.array([losses[-1] for losses in runs])
    return {
        "trials": len(runs),
        "epochs": max(len(losses) for losses in runs) - 1,
        "final_loss_median": np.median(final),
        "final_loss_max": final.max(),
        "late_share_median": np.median(shares),
        "late_share_max": shares.max(),
        "late_decrease_median": np.median(gains),
        "late_decrease_max": gains.max(),
        "late_relative_median": np.median(relative),
        "threshold": THRESHOLD,
        "ceased": bool(shares.max() < THRESHOLD),
    }
