"""How a set of samples is divided into batches, in training and in evaluation."""

import itertools


def batch_slices(count: int, batch_size: int, smallest: int = 1) -> list[slice]:
    """Divide `range(count)` into consecutive slices of `batch_size`; the last may be shorter.

    A last slice with fewer than `smallest` samples is joined to the one before it: batch statistics
    of a single sample do not exist. A `batch_size` above `count` gives one slice with everything.

    Args:
        count: number of samples, at least 1.
        batch_size: samples in a batch, at least 1.
        smallest: the smallest last slice that may stand alone.
    """
    if count < 1 or batch_size < 1:
        raise ValueError(f"count and batch_size must be at least 1, got {count} and {batch_size}")
    edges = [*range(0, count, batch_size), count]
    if len(edges) > 2 and edges[-1] - edges[-2] < smallest:
        del edges[-2]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]
