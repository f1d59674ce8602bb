"""How we know that the training loss has ceased to improve."""

import math

import numpy as np
import pandas as pd

from largebatch.analysis import selection

LAST_SHARE = 0.1  # the end of a run that is looked at, as a share of its epochs
THRESHOLD = 0.01  # at most this share of the whole decrease may happen there


def last_decrease(losses) -> tuple[float, float]:
    """Return what share of the decrease of the training loss its end brought, and the slope there.

    With losses L_0 (before training) ... L_E and m = max(1, ceil(0.1 E)), the share is
    (L_{E-m} - L_E) / (L_0 - L_E), negative where the loss rose; NaN where nothing was gained
    at all. The slope is that of the least-squares line through L_{E-m} ... L_E, per epoch.

    Args:
        losses: training losses of one run in the order of its epochs, at least two.
    """
    losses = np.asarray(losses, dtype=float)
    last = max(1, math.ceil(LAST_SHARE * (len(losses) - 1)))
    total = losses[0] - losses[-1]
    share = (losses[-1 - last] - losses[-1]) / total if total > 0 else math.nan
    slope = np.polyfit(np.arange(last + 1), losses[-1 - last :], 1)[0]
    return float(share), float(slope)


def convergence_table(frames: dict) -> pd.DataFrame:
    """Return, for SB and LB, what the last 10% of the epochs still gained.

    Returns:
        One row a network and method: trials, epochs (largest), final_loss_median, _max,
        late_share_median, late_share_max (share of the whole decrease of the training loss in the
        last 10% of the epochs), late_slope_median, late_slope_min (loss per epoch), threshold, and
        ceased: whether late_share_max is below the threshold.
    """
    rows = []
    for network in selection.network_names(frames):
        good = selection.completed(frames, network)
        history = frames["history"]
        for method in ("sb", "lb"):
            trials = good.loc[good["method"] == method, "trial"]
            chosen = history[(history["network"] == network) & (history["method"] == method)]
            chosen = chosen[chosen["trial"].isin(trials)].sort_values("epoch")
            runs = [run["train_loss"].to_numpy(float) for _, run in chosen.groupby("trial")]
            runs = [losses for losses in runs if len(losses) > 1]
            if runs:
                rows.append({"network": network, "method": method} | _row(runs))
    return selection.as_frame(rows)


def _row(runs: list[np.ndarray]) -> dict:
    shares, slopes = np.array([last_decrease(losses) for losses in runs]).T
    final = np.array([losses[-1] for losses in runs])
    return {
        "trials": len(runs),
        "epochs": max(len(losses) for losses in runs) - 1,
        "final_loss_median": np.median(final),
        "final_loss_max": final.max(),
        "late_share_median": np.median(shares),
        "late_share_max": shares.max(),
        "late_slope_median": np.median(slopes),
        "late_slope_min": slopes.min(),
        "threshold": THRESHOLD,
        "ceased": bool(shares.max() < THRESHOLD),
    }
