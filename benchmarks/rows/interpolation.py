"""Losses and accuracies at 25 points between two networks, on training and testing set."""

from functools import partial

from benchmarks.rows import _models
from benchmarks.suite import Row, in_turn

ORDER = 70
TARGET = 3
POINTS = 25
# MNIST-1D is the default study's, whole; the others have a tenth of the paper's samples or less.
DENSE = {"family": "fully_connected", "classes": 10}
CASES = {
    "MNIST-1D, F1": (DENSE | {"shape": (40,), "options": {"width": 256}}, 4000, 1000),
    "F1": (DENSE | {"shape": (784,), "options": {}}, 6000, 1000),
    "C1": (_models.C1 | {"options": {}}, 250, 50),
}
BATCH = 5000


def measure(case: str, repeats: int, quick: bool) -> Row:
    """Return the row: our interpolation against a DataLoader pass a point and a set."""
    import numpy as np
    import torch
    from torch.nn import functional

    from largebatch.landscape import ModuleObjective, flatten, point_on_path

    model, *counts = CASES[case]
    counts = [20, 10] if quick else counts
    ends = [_models.started(model, **model["options"]) for _ in range(2)]
    with torch.no_grad():
        for parameter in ends[1].parameters():
            parameter.mul_(0.9)
    training, testing = (_models.samples(model, count) for count in counts)
    alphas = np.linspace(-1, 2, 2 if quick else POINTS).tolist()

    def ours():
        f = ModuleObjective(ends[0], functional.cross_entropy, *training, batch_size=BATCH)
        start, end = map(flatten, ends)
        points = (point_on_path(start, end, alpha) for alpha in alphas)
        return [(*f.metrics(x), *f.metrics(x, *testing)) for x in points]

    def loaders():
        return passes(ends, training, testing, alphas)

    difference = np.abs(np.subtract(ours(), loaders())).max()
    if difference > 1e-3:
        raise RuntimeError(f"{case}: the two differ by {difference}; they must do the same work")
    seconds = in_turn({"ours": ours, "loader": loaders}, min(repeats, 5))
    return Row(
        f"interpolation, {POINTS} points, {case}",
        *("ModuleObjective.metrics", "a DataLoader pass a point and set"),
        *(seconds["ours"], seconds["loader"], TARGET),
        note=f"{counts[0]:,} training and {counts[1]:,} testing samples in batches of {BATCH:,}, as"
        f" batch-statistics batch norm asks for; the largest difference is {difference:.1g}",
    )


def passes(ends, training, testing, alphas) -> list[tuple[float, ...]]:
    """Do it as loss-landscapes and users' scripts do: a copy of the network and a pass a point.

    A generous form of it: the samples are tensors already.
    """
    import copy

    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    loaders = [DataLoader(TensorDataset(*part), BATCH) for part in (training, testing)]
    rows = []
    for alpha in alphas:
        network = copy.deepcopy(ends[0]).eval()
        with torch.no_grad():
            for parameter, end in zip(network.parameters(), ends[1].parameters(), strict=True):
                parameter.copy_((1 - alpha) * parameter + alpha * end)
        row = []
        for loader in loaders:
            loss, correct, count = 0.0, 0, 0
            with torch.no_grad():
                for inputs, targets in loader:
                    outputs = network(inputs)
                    loss += functional.cross_entropy(outputs, targets).item() * len(inputs)
                    correct += (outputs.argmax(1) == targets).sum().item()
                    count += len(inputs)
            row += [loss / count, 100 * correct / count]
        rows.append(tuple(row))
    return rows


ROWS = {
    f"interpolation-{case.replace(', ', '-').lower()}": partial(measure, case) for case in CASES
}
