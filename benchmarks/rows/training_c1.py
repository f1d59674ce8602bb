"""Training steps of C1 on images of CIFAR-10's size at batch 256 and 5,000, on the CPU."""

from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 20
TARGET = 1.5
NEEDED = 12e9  # bytes of free memory for a step of 5,000
# batch size: steps a repeat, repeats at most (a step of 5,000 takes many seconds)
CASES = {256: (2, 7), 5000: (1, 2)}


def measure(batch_size: int, repeats: int, quick: bool) -> Row:
    """Return the row: against the tutorials' loop."""
    import torch

    from benchmarks.worker import Worker
    from largebatch.memory import free_memory

    steps, most = CASES[batch_size]
    large, free = batch_size == 5000, free_memory(torch.device("cpu"))
    if large and not quick and 0 < free < NEEDED:  # 0: nothing tells
        raise MemoryError(f"{free / 1e9:.1f} GB of memory are free, {NEEDED / 1e9:.0f} are needed")
    options = {"model": "C1", "batch_size": 8 if quick else batch_size, "steps": steps}
    with (
        Worker("benchmarks.rows._steps:ours", **options) as ours,
        Worker("benchmarks.rows._steps:tutorial", **options) as loop,
    ):
        work = {"ours": ours, "loop": loop}
        if large:  # its memory is found in the first steps; the loop's is given back after each
            ours()
        seconds = in_turn(work, min(repeats, most), warm_up=not large)
    return Row(
        f"training step, C1, batch {batch_size:,}",
        *("largebatch.training.train", "DataLoader + Adam, as tutorials do"),
        *(seconds["ours"], seconds["loop"], TARGET),
        note=f"{steps} steps a repeat, of our `train` without its evaluations",
    )


ROWS = {f"training-c1-{size}": partial(measure, size) for size in CASES}
