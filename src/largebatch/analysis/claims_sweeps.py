"""Claims 7, 8 and 10: batch sizes, warm starts and trajectories. See `verdicts` for the decision.

Every function takes the complete tidy tables, the settings and a network, and returns a Finding.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from largebatch.analysis import selection
from largebatch.analysis.statistics import (
    Estimate,
    geometric_mean_interval,
    log_ratios,
    mean_interval,
    rank_correlation,
)
from largebatch.analysis.verdicts import Either, Finding, Part

FEWEST_POINTS = 3  # fewer points cannot carry a rank correlation


def _correlation(rows: pd.DataFrame, x: str, y: str, points: str) -> tuple[Estimate, str]:
    """Return the rank correlation of two columns, and why there is none, in numbers.

    Args:
        rows: one row a point, with the column trial.
        x, y: the columns; a trial needs three different x.
        points: what the points are, in the plural.
    """
    groups = [group for _, group in rows.dropna(subset=[x, y]).groupby("trial")]
    enough = [(group[x], group[y]) for group in groups if group[x].nunique() >= FEWEST_POINTS]
    most = max((group[x].nunique() for group in groups), default=0)
    why = f"a trial has at most {most} {points}, at least {FEWEST_POINTS} are needed"
    return rank_correlation(enough), "" if enough else why


def batch_size(frames: dict, settings: dict, network: str) -> Finding:
    """Claim 7. Per trial, Spearman's correlation of batch size with testing accuracy and sharpness.

    `yes`: the interval of the mean correlation with accuracy lies below 0 and that with sharpness
    (full space, headline epsilon, best solver) above 0; `no`: one lies on the other side. Where the
    correlation is the same in all trials, an exact permutation test takes the interval's place.
    Runs: the sweep with SB and LB of the same trial; trials with under 3 batch sizes are left out.
    """
    epsilon = settings["epsilons"][0]
    runs = selection.completed(frames, network)
    runs = runs[runs["role"].isin(["main", "sweep"])]
    if not (runs["role"] == "sweep").any():
        runs = runs.iloc[:0]
    measured = selection.sharpness_rows(frames, network, epsilon)[["method", "trial", "sharpness"]]
    sharp = runs.merge(measured, on=["method", "trial"])
    parts = []
    for rows, y, name, side in (
        (runs, "test_accuracy", "testing accuracy", {"high": 0.0}),
        (sharp, "sharpness", "sharpness", {"low": 0.0}),
    ):
        points = f"batch sizes with {name}"
        estimate, why = _correlation(rows, "batch_size", y, points)
        why = why if len(runs) else "no run of a batch-size sweep completed"
        name = f"rank correlation of batch size with {name}"
        parts.append(Part(name, estimate, **side, lacking=why))
    sizes = ", ".join(str(size) for size in sorted(runs["batch_size"].unique()))
    basis = "Batch-size sweep"
    if sizes:
        basis = f"Rank correlation over batch sizes {sizes}, sharpness at epsilon {epsilon:g}"
    failed = selection.failed_runs(frames, network, ("main", "sweep"))
    return Finding(tuple(parts), basis, failed)


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
    lacking = "" if len(sharpness) else _no_warm_start(len(accuracy), starts, (early, late))
    parts = []
    for k, side in ((late, "late"), (early, "early")):
        method = methods.get(k, "warm")
        better = {"low": 0.0} if side == "late" else {"high": 0.0}
        flatter = {"high": 0.0} if side == "late" else {"low": 0.0}
        place = f"of LB started after {k} SB epochs, above the midpoint of SB and cold LB"
        gain = mean_interval(_above_midpoint(accuracy, method))
        level = mean_interval(_above_midpoint(logs, method))
        why = "" if len(accuracy) else lacking
        parts.append(Part(f"testing accuracy {place}", gain, unit="points", **better, lacking=why))
        parts.append(Part(f"log sharpness {place}", level, **flatter, lacking=lacking))
    basis = f"Warm starts after {', '.join(str(k) for k in starts[1:]) or 'no'} SB epochs"
    basis += _levels(accuracy, logs, methods, (early, late))
    failed = selection.failed_runs(frames, network, ("main", "warm"))
    return Finding(tuple(parts), basis, failed, refutable=(0, 1))


def _no_warm_start(completed: int, starts: list[int], chosen: tuple[int, int]) -> str:
    """Return why no trial can be judged by."""
    if not starts:
        return "no warm-started run completed"
    named = " and ".join(f"{k}" for k in dict.fromkeys(chosen) if k)
    if completed:
        return f"sharpness was measured in none of the {completed} trials with all runs completed"
    return f"in no trial SB, LB and the warm starts after {named} SB epochs all completed"


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
    """Claim 10. Sharpness along the runs: it rises along LB runs, and does not along SB runs.

    One definition serves both methods. Sharpness rises along a method's runs if it is higher where
    the training loss is lower (Spearman's correlation of both, per trajectory, below 0) and higher
    at the last measured epoch than at the first (geometric mean of the ratios above 1). `yes`: both
    hold for LB, and for SB at least one fails (it stays or falls: correlation at least 0, or ratio
    at most 1); `no`: one fails for LB, or both hold for SB. Intervals over trajectories, or a
    permutation test where all have the same correlation. The iterates of one trajectory are no
    independent samples, so a single trajectory, as in the paper's Figure 6, decides nothing.
    """
    epsilon = settings["epsilons"][0]
    rows = selection.trajectory_rows(frames, network, epsilon).sort_values("epoch")
    found = {method: _along(rows[rows["method"] == method], method) for method in ("lb", "sb")}
    basis = f"Iterates at epsilon {epsilon:g}, full space, best solver"
    ranges = [text for _, _, text in found.values() if text]
    finals = rows.drop_duplicates(["method", "trial"], keep="last")
    ends = selection.pairs(finals, "sharpness", ("sb", "lb"))
    if len(ends):
        last = geometric_mean_interval(log_ratios(ends["lb"], ends["sb"]))
        ranges.append(f"LB / SB {last.value:.3g} times at the last epoch, geometric mean")
    if ranges:
        basis += f" ({', '.join(ranges)})"
    (lb_rank, lb_ratio, _), (sb_rank, sb_ratio, _) = found["lb"], found["sb"]
    parts = (
        replace(lb_rank, high=0.0),
        replace(lb_ratio, low=1.0),
        Either(
            (replace(sb_rank, low=0.0, strict=False), replace(sb_ratio, high=1.0, strict=False))
        ),
    )
    wanted = np.atleast_1d(settings.get("trajectory_trial", 0))
    failed = selection.failed_runs(frames, network, trials=wanted)
    return Finding(parts, basis, failed)


def _along(rows: pd.DataFrame, method: str) -> tuple[Part, Part, str]:
    """Return the two quantities of claim 10 without their bounds, and both ends as text.

    Args:
        rows: the measured iterates of one method in the order of epochs.
        method: sb or lb.
    """
    name = f"{method.upper()} runs"
    estimate, why = _correlation(rows, "base", "sharpness", f"measured epochs along {name}")
    rank = Part(f"rank correlation of training loss with sharpness along {name}", estimate)
    groups = rows.groupby("trial")
    ends = groups["sharpness"].agg(["first", "last"])[groups["epoch"].nunique() >= FEWEST_POINTS]
    ratio = geometric_mean_interval(log_ratios(ends["last"], ends["first"]))
    what = f"geometric mean of sharpness along {name}, last epoch measured / first"
    rise = Part(what, ratio, unit="times")
    text = ""
    if len(ends):
        first, last = ends["first"].mean(), ends["last"].mean()
        text = f"{method.upper()} sharpness from {first:.3g} to {last:.3g}"
    return replace(rank, lacking=why), replace(rise, lacking=why), text
