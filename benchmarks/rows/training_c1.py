"""Training steps of C1 on images of CIFAR-10's size at batch 256 and 5,000, on the CPU."""

from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 20
TARGET = 1.5
# batch size: steps a repeat, repeats at most (a step of 5,000 takes many seconds)
CASES = {256: (2, 7), 5000: (1, 3)}


def measure(batch_size: int, repeats: int, quick: bool) -> Row:
    """Return the row: against the tutorials' loop."""
    from benchmarks.worker import Worker

    steps, most = CASES[batch_size]
    options = {"model": "C1", "batch_size": 8 if quick else batch_size, "steps": steps}
    with (
        Worker("benchmarks.rows._steps:ours", **options) as ours,
        Worker("benchmarks.rows._steps:tutorial", **options) as loop,
    ):
        seconds = in_turn({"ours": ours, "loop": loop}, min(repeats, most))
    return Row(
        f"training step, C1, batch {batch_size:,}",
        *("largebatch.training.train", "DataLoader + Adam, as tutorials do"),
        *(seconds["ours"], seconds["loop"], TARGET),
        note=f"{steps} steps a repeat, of our `train` without its evaluations",
    )


ROWS = {f"training-c1-{size}": partial(measure, size) for size in CASES}
