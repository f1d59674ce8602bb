"""Sharpness in the full space: solver `best` against SciPy's L-BFGS-B on f and on 1e4 f."""

import statistics
from functools import partial

from benchmarks import ROOT
from benchmarks.suite import Row

ORDER = 40
RESULTS = ROOT / "results"
ENOUGH = 20  # checkpoints of real studies, else a set is trained
MOST = 20
REACHED = 0.995  # the value of SciPy's, to 0.5%
OUTSIDE = 0.05  # of the time, outside f
IMAGES = 32  # of f as it is timed
BATCH = 5000  # images of the evaluation batch, the least over which a study's f is taken


def _set(size: str, quick: bool) -> tuple[list, str]:
    """Return the checkpoints of a row, and where they are from."""
    from benchmarks.checkpoints import made, of_studies

    if quick:
        return made(size, 1), "trained here"
    if size != "n = 1e5":
        return made(size, 1), "trained here"
    real = list(of_studies(RESULTS))
    if len(real) < ENOUGH:
        return made(size), "trained here on MNIST-1D"
    count = min(MOST, len(real))  # over all networks and methods
    chosen = [real[place * len(real) // count] for place in range(count)]
    return chosen, "of the studies below results/"


def reached(size: str, repeats: int, quick: bool) -> Row:
    """Return the row: the smallest ratio of sharpness over the set; a time a checkpoint."""
    from benchmarks.solvers import FACTORS, ITERATIONS, compare

    checkpoints, source = _set(size, quick)
    found = [compare(*checkpoint.load()) for checkpoint in checkpoints]
    longest = [result.scipy[FACTORS[-1], ITERATIONS[-1]] for result in found]
    halves = [max(result.best.values(), key=lambda run: run.evaluations) for result in found]
    stuck = sum(result.scipy[1, ITERATIONS[-1]].phi <= 0 for result in found)
    evaluations = statistics.median(run.evaluations for run in longest)
    return Row(
        f"sharpness, full space, {size}",
        *("best, half the evaluations", "SciPy L-BFGS-B, 50 iterations on 1e4 f"),
        *([run.seconds for run in halves], [run.seconds for run in longest], REACHED),
        ratio=min(result.ratio for result in found),
        unit="of SciPy's sharpness at least",
        note=f"the worst of {len(found)} checkpoints {source}, against 10 and 50 iterations on f"
        f" and on 1e4 f; median {evaluations:g} evaluations by SciPy, which on f itself"
        f" stayed at the start {stuck} times",
    )


def beside(repeats: int, quick: bool) -> Row:
    """Return the row: the share of a search's time that is not spent in f, with C2's weights.

    An f over BATCH images takes minutes, so it is timed over fewer: its time goes with the images,
    and the time outside it does not.
    """
    from torch.nn.functional import cross_entropy

    from benchmarks.rows import _models
    from benchmarks.solvers import best_runs, scipy_runs
    from largebatch.landscape import ModuleObjective, flatten

    model = "C1" if quick else "C2"
    images = 4 if quick else IMAGES
    network = _models.started(model)
    f = ModuleObjective(network, cross_entropy, *_models.samples(model, images))
    x = flatten(network)
    count = 2 if quick else 10
    ours = best_runs(f, x, None, [count])[0]
    theirs = scipy_runs(f, x, None, 1e4, (1,) if quick else (3,))[0]
    outside, inside = (
        seconds / ours.evaluations for seconds in (ours.outside, ours.seconds - ours.outside)
    )
    whole = inside * BATCH / images
    return Row(
        f"sharpness, time outside f, n = {x.numel():,}",
        *("best, an evaluation, outside f", "SciPy L-BFGS-B, the same"),
        ours_seconds=[outside],
        other_seconds=[theirs.outside / theirs.evaluations],
        target=OUTSIDE,
        ratio=outside / (outside + whole),
        unit="of the time",
        at_least=False,
        note=f"{model}; f over {images} made-up images takes {inside:.2f} s, so over {BATCH:,},"
        f" one evaluation batch, {whole:.0f} s, which the share is of; of {images} images it is"
        f" {outside / (outside + inside):.2g}",
    )


ROWS = {
    "sharpness-1e5": partial(reached, "n = 1e5"),
    "sharpness-1.5e6": partial(reached, "n = 1.5e6"),
    "sharpness-outside": beside,
}
