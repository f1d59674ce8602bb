"""A random 100-dimensional subspace of C2's weights: A held, or drawn again at each use."""

import time

from benchmarks.suite import Row

ORDER = 60
WEIGHTS = 15_000_000
DIMENSION = 100


def measure(repeats: int, quick: bool) -> Row:
    """Return the row: seconds of A y and A^T g together, which each evaluation of f needs."""
    import torch

    from largebatch.landscape.subspace import RandomSubspace, holds
    from largebatch.memory import free_memory

    x = torch.ones(WEIGHTS // 1000 if quick else WEIGHTS)
    size = x.numel() * DIMENSION * x.dtype.itemsize
    fits = size < free_memory(x.device) / 2
    chosen = "held" if holds(size, x.device) else "drawn again"
    start = time.perf_counter()
    spaces = {"drawn": RandomSubspace(1, x, DIMENSION, hold_bytes=0)}
    if fits:
        spaces["held"] = RandomSubspace(1, x, DIMENSION, hold_bytes=size)
    first = time.perf_counter() - start
    y = torch.ones(DIMENSION)
    seconds = {"held": [], "drawn": []}
    for repeat in range(min(repeats, 3)):
        for kind, space in spaces.items():
            if kind == "held" or repeat == 0:  # drawing takes half a minute
                start = time.perf_counter()
                space.pull(space.lift(y))
                seconds[kind].append(time.perf_counter() - start)
    return Row(
        f"sharpness, {DIMENSION}-dimensional subspace, n = {x.numel():,}",
        *("A held", "A drawn again from its seed"),
        *(seconds["held"], seconds["drawn"]),
        ratio=None if fits else 1.0,
        note=f"A y and A^T g, once an evaluation of f; A has {size / 2**30:.1f} GiB and is drawn"
        f" for {first:.1f} s before it is held; here it is {chosen} automatically"
        + ("" if fits else "; holding it was not measured: too little free memory"),
    )


ROWS = {"subspace": measure}
