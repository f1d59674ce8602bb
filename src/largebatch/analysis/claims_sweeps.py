"""Claims 7, 8 and 10: batch sizes, warm starts and trajectories. See `verdicts` for the decision.

Every function takes the complete tidy tables, the settings and a network, and returns a Finding.
"""

import numpy as np
import pandas as pd

from largebatch.analysis import selection
from largebatch.analysis.statistics import mean_interval, spearman
from largebatch.analysis.verdicts import Finding, Part

FEWEST_POINTS = 4  # fewer points cannot carry a rank correlation
RANKS = (-1.0, 1.0)


def _correlations(rows: pd.DataFrame, x: str, y: str) -> list[float]:
    """Return Spearman's correlation of two columns for every trial with enough distinct x."""
    groups = (group for _, group in rows.dropna(subset=[x, y]).groupby("trial"))
    return [spearman(group[x], group[y]) for group in groups if group[x].nunique() >= FEWEST_POINTS]


def batch_size(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 7. Per trial, Spearman's correlation of batch size with testing accuracy and sharpness.

    `yes`: the interval of the mean correlation with accuracy lies below 0 and that with sharpness
    (full space, headline epsilon, best solver) above 0; `no`: one lies on the other side. Runs: the
    sweep with SB and LB of the same trial; trials with under 4 batch sizes are left out.
    """
    epsilon = settings["epsilons"][0]
    runs = selection.completed(frames, network)
    runs = runs[runs["role"].isin(["main", "sweep"])]
    if not (runs["role"] == "sweep").any():
        runs = runs.iloc[:0]
    measured = selection.sharpness_rows(frames, network, epsilon)[["method", "trial", "sharpness"]]
    sharp = runs.merge(measured, on=["method", "trial"])
    parts = (
        Part(
            "rank correlation of batch size with testing accuracy",
            mean_interval(_correlations(runs, "batch_size", "test_accuracy"), RANKS),
            high=0.0,
        ),
        Part(
            "rank correlation of batch size with sharpness",
            mean_interval(_correlations(sharp, "batch_size", "sharpness"), RANKS),
            low=0.0,
        ),
    )
    sizes = ", ".join(str(size) for size in sorted(runs["batch_size"].unique()))
    basis = (
        f"Batch sizes {sizes}, sharpness at epsilon {epsilon:g}" if sizes else "Batch-size sweep"
    )
    failed = selection.failed_runs(frames, network, ("main", "sweep"))
    return Finding(parts, basis, failed)


def warm_methods(runs: pd.DataFrame) -> dict[int, str]:
    """Return the warm-start methods by SB epochs k, in rising order, with cold LB as k = 0.

    Args:
        runs: rows of `runs` of one network.
    """
    warm = runs[runs["role"] == "warm"].dropna(subset=["warm_epochs"])
    named = {int(row.warm_epochs): row.method for row in warm.itertuples()}
    return {0: "lb"} | dict(sorted(named.items())) if named else {}


def _above_midpoint(wide: pd.DataFrame, method: str) -> pd.Series:
    return (
        wide[method] - (wide["sb"] + wide["lb"]) / 2 if method in wide else pd.Series(dtype=float)
    )


def warm_start(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 8. Warm-started LB against the midpoint of SB and cold LB, paired by trial.

    Two contrasts per trial: a(k) - (a_SB + a_LB) / 2 of testing accuracy, and the same of
    log sharpness. `yes`: for the latest warm start the interval of the first lies above 0 and that
    of the second below 0 (more than half of the way to SB), while the earliest warm start (cold
    LB if there is only one) still lies on the LB side of both. `no`: the latest one lies on the LB
    side of either. An earliest one beyond the midpoint only says that the grid of k starts too
    late to see a "before": undecided. Differences, not shares of the gap, because a share explodes
    where the gap is small.
    """
    epsilon = settings["epsilons"][0]
    runs = selection.completed(frames, network)
    methods = warm_methods(runs)
    starts = list(methods)
    late, early = (starts[-1], starts[1 if len(starts) > 2 else 0]) if starts else (0, 0)
    columns = dict.fromkeys(("sb", "lb", methods.get(early, "warm"), methods.get(late, "warm")))
    accuracy = selection.pairs(runs, "test_accuracy", tuple(columns))
    rows = selection.sharpness_rows(frames, network, epsilon)
    sharpness = selection.pairs(rows, "sharpness", tuple(columns))
    sharpness = sharpness.reindex(accuracy.index).dropna()
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(sharpness.clip(lower=0.0))
    parts = []
    for k, side in ((late, "late"), (early, "early")):
        method = methods.get(k, "warm")
        better = {"low": 0.0} if side == "late" else {"high": 0.0}
        flatter = {"high": 0.0} if side == "late" else {"low": 0.0}
        place = f"of LB started after {k} SB epochs, above the midpoint of SB and cold LB"
        gain = mean_interval(_above_midpoint(accuracy, method))
        parts.append(Part(f"testing accuracy {place}", gain, unit="points", **better))
        parts.append(
            Part(f"log sharpness {place}", mean_interval(_above_midpoint(logs, method)), **flatter)
        )
    basis = f"Warm starts after {', '.join(str(k) for k in starts[1:]) or 'no'} SB epochs"
    basis += _levels(accuracy, logs, methods, (early, late))
    failed = selection.failed_runs(frames, network, ("main", "warm"))
    return Finding(tuple(parts), basis, failed, refutable=(0, 1))


def _levels(accuracy, logs, methods: dict[int, str], chosen: tuple[int, int]) -> str:
    """Return the mean testing accuracy and the geometric mean sharpness of each kind of run."""
    if accuracy.empty or not methods:
        return ""
    kinds = {"cold LB": "lb"} | {f"k = {k}": methods[k] for k in chosen if k} | {"SB": "sb"}
    pieces = []
    for name, method in kinds.items():
        piece = f"{name} {accuracy[method].mean():.4g}%"
        if len(logs):
            piece += f" and sharpness {np.exp(logs[method].mean()):.3g}"
        pieces.append(piece)
    return f" (testing accuracy: {', '.join(pieces)})"


def trajectory(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 10. Per trajectory, Spearman's correlation of training loss with sharpness.

    `yes`: the interval of the mean over LB trajectories lies below 0 (sharpness rises as the loss
    falls) and that over SB trajectories at or above 0 (it stays or falls); `no`: one lies on the
    other side. The iterates of one trajectory are no independent samples, so a single
    trajectory, as in the paper's Figure 6, gives a point estimate and no verdict.
    """
    epsilon = settings["epsilons"][0]
    rows = selection.trajectory_rows(frames, network, epsilon)
    estimates, ranges = {}, []
    for method in ("lb", "sb"):
        mine = rows[rows["method"] == method].sort_values("epoch")
        estimates[method] = mean_interval(_correlations(mine, "base", "sharpness"), RANKS)
        ends = mine.groupby("trial")["sharpness"].agg(["first", "last"])
        if len(ends):
            first, last = ends["first"].mean(), ends["last"].mean()
            ranges.append(f"{method.upper()} sharpness from {first:.3g} to {last:.3g}")
    name = "rank correlation of training loss with sharpness along {} runs"
    parts = (
        Part(name.format("LB"), estimates["lb"], high=0.0),
        Part(name.format("SB"), estimates["sb"], low=0.0, strict=False),
    )
    basis = f"Iterates at epsilon {epsilon:g}, full space, best solver"
    if ranges:
        basis += f" ({', '.join(ranges)})"
    wanted = np.atleast_1d(settings.get("trajectory_trial", 0))
    failed = selection.failed_runs(frames, network, trials=wanted)
    return Finding(parts, basis, failed)
