"""Losses and accuracies at 25 points between two networks, on training and testing set."""

import statistics
from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 70
TARGET = 3
POINTS = 25
# model: training and testing samples. MNIST-1D's are all of the default study's, the others' a
# tenth of the paper's or less.
CASES = {"F1 of MNIST-1D": (4000, 1000), "F1": (6000, 1000), "C1": (250, 50)}
MOST = 5  # repeats


def measure(model: str, repeats: int, quick: bool) -> Row:
    """Return the row: our interpolation against a DataLoader pass a point and a set."""
    from benchmarks.worker import Worker

    samples = [20, 10] if quick else CASES[model]
    options = {"model": model, "samples": samples, "points": 2 if quick else POINTS}
    kinds = ["ours", "loader"] + (["products"] if model.startswith("F") else [])
    workers = {kind: Worker(f"benchmarks.rows._paths:{kind}", **options) for kind in kinds}
    try:
        seconds = in_turn(workers, min(repeats, MOST))
    finally:
        for worker in workers.values():
            worker.__exit__(None)
    alone = statistics.median(seconds.get("products", [0])) / statistics.median(seconds["ours"])
    limit = f"; its matrix products alone take {100 * alone:.0f}% of our time" if alone else ""
    return Row(
        f"interpolation, {POINTS} points, {model}",
        *("ModuleObjective.metrics", "a DataLoader pass a point and set"),
        *(seconds["ours"], seconds["loader"], TARGET),
        note=f"{samples[0]:,} training and {samples[1]:,} testing samples, each set one batch, as"
        f" batch-statistics batch norm asks for{limit}",
    )


ROWS = {f"interpolation-{model.split()[-1].lower()}": partial(measure, model) for model in CASES}
