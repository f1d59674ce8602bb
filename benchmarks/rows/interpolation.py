"""Losses and accuracies at 25 points between two networks, on training and testing set."""

import statistics
from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 70
TARGET = 3
POINTS = 25
# model: training and testing samples. MNIST-1D's are all of the default study's, the others' a
# tenth of the paper's or less.
CASES = {"F1 of MNIST-1D": (4000, 1000), "F1": (2000, 400), "C1": (100, 50)}
MOST = 3  # repeats


def measure(model: str, repeats: int, quick: bool) -> list[Row]:
    """Return the rows: our interpolation against a DataLoader pass a point and a set.

    Of images twice: samples that are tensors already, and such as are decoded one by one.
    """
    from benchmarks.worker import Worker

    samples = [20, 10] if quick else CASES[model]
    options = {"model": model, "samples": samples, "points": 2 if quick else POINTS}
    kinds = ["ours", "loader"] + (["products"] if model.startswith("F") else [])
    kinds += [] if "1D" in model else ["decoded"]
    workers = {kind: Worker(f"benchmarks.rows._paths:{kind}", **options) for kind in kinds}
    try:
        seconds = in_turn(workers, min(repeats, MOST))
    finally:
        for worker in workers.values():
            worker.__exit__(None)
    alone = statistics.median(seconds.get("products", [0])) / statistics.median(seconds["ours"])
    limit = f"; its matrix products alone take {100 * alone:.0f}% of our time" if alone else ""
    name, label = f"interpolation, {POINTS} points, {model}", "ModuleObjective.metrics"
    note = f"{samples[0]:,} training and {samples[1]:,} testing samples, each set one batch, as"
    note += f" batch-statistics batch norm asks for{limit}"
    rows = [
        Row(
            *(name, label, "a DataLoader pass a point and set"),
            *(seconds["ours"], seconds["loader"], TARGET),
            note=f"{note}; the loader's samples are tensors already",
        )
    ]
    if "decoded" in seconds:
        rows.append(
            Row(
                *(f"{name}, images decoded", label, "the same on images"),
                *(seconds["ours"], seconds["decoded"], TARGET),
                note=f"{note}; the loader's samples are decoded as torchvision's data sets do",
            )
        )
    return rows


ROWS = {f"interpolation-{model.split()[-1].lower()}": partial(measure, model) for model in CASES}
