"""The trials of one experiment stacked, against a process each, as the study does.

Stacked trials would be kept only if no trial's bytes depended on what it is stacked with.
"""

import time
from collections.abc import Callable
from functools import partial

from benchmarks.suite import Row, in_turn

ORDER = 30
TRIALS, MODEL = 5, "F1"
CASES = {32: 40, 256: 10}  # batch size: steps a repeat


def one_by_one(batch_size: int, steps: int) -> Callable[[], float]:
    """Return a function that trains one trial after another, and gives the seconds of the steps."""
    from benchmarks.rows._steps import ours

    epochs = [ours(MODEL, batch_size, steps, trial) for trial in range(TRIALS)]
    return lambda: sum(epoch() for epoch in epochs)


def stacked(batch_size: int, steps: int) -> Callable[[], float]:
    """Return a function that trains all trials at once, and gives the seconds of the steps."""

    def epoch() -> float:
        stack = Stack(range(TRIALS), batch_size, steps)
        start = time.perf_counter()
        stack.train()
        return time.perf_counter() - start

    return epoch


class Stack:
    """Trials of F1 as one network of batched matrix products (torch.func).

    Args:
        trials: their numbers.
        batch_size, steps: of each trial, which takes as many samples.
    """

    def __init__(self, trials, batch_size: int, steps: int):
        import torch
        from torch.func import stack_module_state

        from benchmarks.rows import _models

        networks = [_models.started(MODEL, trial) for trial in trials]
        self.network = networks[0].train()
        self.weights = stack_module_state(networks)[0]
        self.optimizer = torch.optim.Adam(self.weights.values(), fused=True)
        self.inputs, self.targets = _models.samples(MODEL, batch_size * steps)
        orders = [
            torch.randperm(len(self.targets), generator=torch.Generator().manual_seed(trial))
            for trial in trials
        ]
        self.batches = torch.stack(orders).split(batch_size, dim=1)

    def train(self) -> None:
        """Take the steps."""
        from torch.func import functional_call, vmap
        from torch.nn.functional import cross_entropy

        def loss(weights, inputs, targets):
            return cross_entropy(functional_call(self.network, weights, (inputs,)), targets)

        for rows in self.batches:
            self.optimizer.zero_grad()
            vmap(loss)(self.weights, self.inputs[rows], self.targets[rows]).sum().backward()
            self.optimizer.step()

    def of_first(self) -> bytes:
        """Return the bytes of the first trial's weights."""
        return b"".join(w[0].detach().numpy().tobytes() for w in self.weights.values())


def independent(batch_size: int, steps: int) -> bool:
    """Whether a trial has the same bytes alone, with another and with four others."""
    found = []
    for others in (0, 1, TRIALS - 1):
        stack = Stack(range(1 + others), batch_size, steps)
        stack.train()
        found.append(stack.of_first())
    return len(set(found)) == 1


def measure(batch_size: int, repeats: int, quick: bool) -> Row:
    """Return the row; ours are the separate trials, both sides on one core.

    A core is what a job of a study has. More threads for the stack would be idle cores for others,
    and wait for each other at each of hundreds of small operations.
    """
    from benchmarks.worker import Worker

    options = {"batch_size": batch_size, "steps": 2 if quick else CASES[batch_size]}
    with (
        Worker(f"{__name__}:one_by_one", **options) as apart,
        Worker(f"{__name__}:stacked", **options) as together,
    ):
        seconds = in_turn({"apart": apart, "stacked": together}, min(repeats, 3))
    same = "the same" if independent(**options) else "others"
    return Row(
        f"five trials of F1, batch {batch_size:,}",
        *("one by one", "stacked (torch.func)"),
        *(seconds["apart"], seconds["stacked"]),
        note=f"above 1, stacking is slower; a trial's bytes are {same} when it is stacked with "
        "other trials",
    )


ROWS = {f"stacked-trials-{size}": partial(measure, size) for size in CASES}
