"""Claims 1 to 6 and 9: what the paired SB and LB runs say. The rule of decision is in `verdicts`.

Every function takes the complete tidy tables, the settings and a network, and returns a Finding.
A trial counts where both of its runs completed.
"""

import math

import numpy as np
import pandas as pd

from largebatch.analysis import selection
from largebatch.analysis.statistics import geometric_mean_interval, log_ratios, mean_interval
from largebatch.analysis.verdicts import Finding, Part

HIGH_ACCURACY = 98.0  # percent, claim 1
CLOSE_ACCURACY = 2.0  # points, claim 1
WINDOW = 10  # epochs of the running mean, claim 6
FEWEST_EPOCHS = 20  # claim 6: the peak and the end can then lie in windows that do not overlap
LARGEST_DROP = 1.0  # points, claim 6
PERCENT = (0.0, 100.0)


def training_accuracy(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 1. Per method the mean final training accuracy, >= 98%; and the mean of SB - LB.

    `yes`: both intervals at or above 98 and that of the difference within -2 to 2 points; `no`:
    one of them wholly outside. The effect size is the accuracy of the method with the lower mean.
    """
    pairs = selection.pairs(selection.completed(frames, network), "train_accuracy")
    parts = [
        Part(
            f"{method.upper()} training accuracy",
            mean_interval(pairs[method], PERCENT),
            low=HIGH_ACCURACY,
            strict=False,
            unit="%",
            lacking=selection.lacking(frames, network, pairs),
        )
        for method in ("sb", "lb")
    ]
    parts.sort(key=lambda part: part.estimate.value)
    gap = mean_interval(pairs["sb"] - pairs["lb"])
    close = {"low": -CLOSE_ACCURACY, "high": CLOSE_ACCURACY, "strict": False, "unit": "points"}
    parts.append(Part("SB - LB", gap, **close, lacking=parts[0].lacking))
    basis = "Final training accuracy of the SB and LB runs"
    return Finding(tuple(parts), basis, selection.failed_runs(frames, network))


def testing_accuracy(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 2. The mean over pairs of SB - LB final testing accuracy in points; claimed > 0."""
    pairs = selection.pairs(selection.completed(frames, network), "test_accuracy")
    gap = mean_interval(pairs["sb"] - pairs["lb"])
    why = selection.lacking(frames, network, pairs)
    part = Part("testing accuracy SB - LB", gap, low=0.0, unit="points", lacking=why)
    return Finding(
        (part,), "Final testing accuracy of the paired runs", selection.failed_runs(frames, network)
    )


def _sharpness_ratio(frames, settings, network, space) -> Finding:
    epsilon = settings["epsilons"][0]
    rows = selection.sharpness_rows(frames, network, epsilon, space)
    pairs = selection.pairs(rows, "sharpness")
    ratio = geometric_mean_interval(log_ratios(pairs["lb"], pairs["sb"]))
    where = "full space"
    if space == "subspace":
        draws = rows["draw"].nunique()
        where = f"mean over {draws} random subspaces common to SB and LB"
    basis = (
        f"Sharpness at epsilon {epsilon:g} of the paired minimizers, best solver, {where} (ours is "
        "a geometric mean of ratios, the paper's value a ratio of means)"
    )
    why = selection.lacking(frames, network, pairs, f"sharpness at epsilon {epsilon:g}, {space},")
    name = "geometric mean of the ratios of sharpness LB / SB"
    part = Part(name, ratio, low=1.0, unit="times", lacking=why)
    return Finding((part,), basis, selection.failed_runs(frames, network))


def full_sharpness(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 3. The geometric mean over pairs of phi_LB / phi_SB, full space; claimed > 1.

    phi of the solver `best` at the headline epsilon. A pair with phi = 0 on one side has an
    infinite log ratio: it is counted by its side, not averaged (see `verdicts`).
    """
    return _sharpness_ratio(frames, settings, network, "full")


def subspace_sharpness(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 4. As claim 3; a run's phi is the mean over its random subspaces."""
    return _sharpness_ratio(frames, settings, network, "subspace")


def smallest_step(alphas) -> float | None:
    """Return the smallest d < 0.5 for which -d, 0, d, 1 - d, 1, 1 + d are all in `alphas`.

    Args:
        alphas: places on the line, compared to nine decimals; None is returned if no d fits.
    """
    known = {round(float(alpha), 9) for alpha in alphas}
    for step in sorted(alpha - 1 for alpha in known if 1 < alpha < 1.5):
        if {round(place, 9) for place in (-step, 0.0, step, 1 - step, 1.0, 1 + step)} <= known:
            return round(step, 9)
    return None


def rise(curve: pd.Series, center: float, step: float) -> float:
    """Return (f(center - d) + f(center + d)) / 2 - f(center); a loss that overflowed is infinite.

    Args:
        curve: losses by alpha.
        center: 0 (SB) or 1 (LB).
        step: d.
    """
    losses = {round(float(alpha), 9): float(loss) for alpha, loss in curve.items()}
    values = [losses[round(place, 9)] for place in (center - step, center, center + step)]
    left, middle, right = (math.inf if math.isnan(value) else value for value in values)
    return (left + right) / 2 - middle if math.isfinite(middle) else math.nan


def line_rise(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 5. The geometric mean over pairs of rise(LB) / rise(SB) of the training loss; > 1.

    rise is the mean of f at alpha - d and alpha + d above f at alpha, on the linear path, d the
    smallest step of the grid: the same distance in weights on all four sides. A minimizer around
    which the loss does not rise counts as rise 0, one beside which it overflows as infinity; such
    a pair is counted by its side, not averaged.
    """
    table = frames["interpolation"]
    rows = table[(table["network"] == network) & (table["path"] == "linear")]
    trials = selection.pairs(selection.completed(frames, network), "train_accuracy").index
    rows = rows[rows["trial"].isin(trials)]
    step = smallest_step(rows["alpha"])
    why = selection.lacking(frames, network, rows, "the linear path")
    if len(rows) and step is None:
        why = (
            f"the grid of {rows['alpha'].nunique()} alphas holds -d, 0, d, 1 - d, 1 and 1 + d for "
            "no d below 0.5"
        )
    rises = {0: [], 1: []}
    for _, curve in rows.groupby("trial") if step is not None else ():
        losses = curve.set_index("alpha")["train_loss"]
        for center, values in rises.items():
            values.append(rise(losses, center, step))
    ratio = geometric_mean_interval(log_ratios(rises[1], rises[0]))
    name = "geometric mean of the rise of the training loss around LB / around SB"
    basis = "Linear paths between the paired minimizers"
    if step is not None:
        basis += f", {step:g} to either side of alpha = 1 and of alpha = 0"
    part = Part(name, ratio, low=1.0, unit="times", lacking=why)
    return Finding((part,), basis, selection.failed_runs(frames, network))


def drop_from_peak(accuracies) -> float:
    """Return by how much the 10-epoch running mean ends below its peak, in points.

    Args:
        accuracies: testing accuracies by epoch, without epoch 0; under 20 give NaN.
    """
    accuracies = np.asarray(accuracies, dtype=float)
    if len(accuracies) < FEWEST_EPOCHS:
        return math.nan
    means = np.convolve(accuracies, np.full(WINDOW, 1 / WINDOW), mode="valid")
    return float(means.max() - means[-1])


def no_overfitting(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 6. Per method the mean drop of the running testing accuracy; claimed <= 1 point.

    `yes`: both intervals at or below 1 point; `no`: one wholly above. The effect size is the
    larger of the two mean drops. The interval is cut at 0, the least drop there can be.
    """
    good = selection.pairs(selection.completed(frames, network), "test_accuracy").index
    table = frames["history"]
    chosen = (table["network"] == network) & table["trial"].isin(good) & (table["epoch"] > 0)
    parts = []
    lacking = selection.lacking(frames, network, good)
    for method in ("sb", "lb"):
        rows = table[chosen & (table["method"] == method)].sort_values("epoch")
        drops = [drop_from_peak(run["test_accuracy"]) for _, run in rows.groupby("trial")]
        estimate = mean_interval(drops, (0.0, math.inf))
        name = f"drop of the {method.upper()} testing accuracy from its peak"
        why = lacking or _too_short(rows) if not estimate.trials else ""
        bound = {"high": LARGEST_DROP, "strict": False, "unit": "points"}
        parts.append(Part(name, estimate, **bound, lacking=why))
    parts.sort(key=lambda part: -part.estimate.value)
    basis = (
        f"{WINDOW}-epoch running means of the testing accuracy (at least {FEWEST_EPOCHS} epochs)"
    )
    return Finding(tuple(parts), basis, selection.failed_runs(frames, network))


def _too_short(rows: pd.DataFrame) -> str:
    longest = rows.groupby("trial")["epoch"].count().max() if len(rows) else 0
    return f"the longest run has {longest} epochs, at least {FEWEST_EPOCHS} are needed"


def distance(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 9. The geometric mean over pairs of ||x_s - x0|| / ||x_l - x0||; claimed > 1."""
    pairs = selection.pairs(selection.completed(frames, network), "distance")
    ratio = geometric_mean_interval(log_ratios(pairs["sb"], pairs["lb"]))
    why = selection.lacking(frames, network, pairs, "the distance")
    name = "geometric mean of the ratios of distance SB / LB"
    part = Part(name, ratio, low=1.0, unit="times", lacking=why)
    basis = "Distance of the final weights from the common starting point of each pair"
    return Finding((part,), basis, selection.failed_runs(frames, network))
