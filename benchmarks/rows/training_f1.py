"""Training steps of F1 (784 - 5 x 512 - 10) at batch 32, 256 and 6,000, on the CPU."""

from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 10
SIZES = [784, 512, 512, 512, 512, 512, 10]
# batch size: steps a repeat, target against the loop, against the products
CASES = {32: (100, 2.0, None), 256: (25, 1.3, 0.7), 6000: (3, 1.2, 0.8)}


def measure(batch_size: int, repeats: int, quick: bool) -> list[Row]:
    """Return three rows: against the tutorials' loop twice, and as a share of the limit."""
    from benchmarks.rows._steps import MatrixProducts
    from benchmarks.worker import Worker

    steps, against_loop, against_limit = CASES[batch_size]
    steps = 1 if quick else steps
    products = MatrixProducts(SIZES, batch_size)
    options = {"model": "F1", "batch_size": batch_size, "steps": steps}
    with (
        Worker("benchmarks.rows._steps:ours", **options) as ours,
        Worker("benchmarks.rows._steps:tutorial", **options) as loop,
        Worker("benchmarks.rows._steps:tutorial", decoded=True, **options) as decoding,
    ):
        work = {"ours": ours, "loop": loop, "decoded": decoding}
        work["limit"] = lambda: products.run(steps)
        seconds = in_turn(work, repeats)
    rate = products.flops * steps / min(seconds["limit"]) / 1e9
    name = f"training step, F1, batch {batch_size:,}"
    text = f"{steps} steps a repeat, of our `train` without its evaluations"
    return [
        Row(
            *(name, "largebatch.training.train", "DataLoader + Adam, as tutorials do"),
            *(seconds["ours"], seconds["loop"], against_loop),
            note=f"{text}; the loop's samples are tensors already",
        ),
        Row(
            *(f"{name}, images decoded", "largebatch.training.train", "the same on images"),
            *(seconds["ours"], seconds["decoded"], against_loop),
            note=f"{text}; the loop's samples are decoded as torchvision's data sets do",
        ),
        Row(
            *(f"{name}, of the limit", "largebatch.training.train", "its matrix products alone"),
            *(seconds["ours"], seconds["limit"], against_limit),
            unit="of the limit",
            note=f"{text}; the products reach {rate:.0f} GFLOP/s",
        ),
    ]


ROWS = {f"training-f1-{size}": partial(measure, size) for size in CASES}
