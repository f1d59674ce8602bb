"""Training steps of C1 on images of CIFAR-10's size at batch 256 and 5,000, on the CPU."""

from functools import partial

from benchmarks.rows import _models
from benchmarks.suite import Row, in_turn

ORDER = 20
TARGET = 1.5
STEPS = {256: 2, 5000: 1}
MOST = {256: 5, 5000: 3}  # repeats: a step of 5,000 takes many seconds


def measure(batch_size: int, repeats: int, quick: bool) -> Row:
    """Return the row: against the tutorials' loop."""
    from benchmarks.rows._steps import ours, tutorial

    used = 8 if quick else batch_size
    steps = 1 if quick else STEPS[batch_size]
    data = _models.samples(_models.C1, steps * used)
    seconds = in_turn(
        {
            "ours": lambda: ours(_models.C1, data, used),
            "loop": lambda: tutorial(_models.C1, data, used),
        },
        min(repeats, MOST[batch_size]),
    )
    return Row(
        f"training step, C1, batch {batch_size:,}",
        *("largebatch.training.train", "DataLoader + Adam, as tutorials do"),
        *(seconds["ours"], seconds["loop"], TARGET),
        note=f"{steps} steps a repeat; evaluations not counted",
    )


ROWS = {f"training-c1-{size}": partial(measure, size) for size in STEPS}
