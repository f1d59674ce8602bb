"""Sharpness reached per evaluation of f: solver `best` against SciPy's L-BFGS-B on f and on 1e4 f.

On checkpoints of studies that were run, or on a set that is trained here (MNIST-1D). Prints Metric
2.1 in percent with epsilon 1e-3: SciPy's after 10 and 50 iterations on each function, and `best`
after half the evaluations of each 50; evaluations are in brackets.

    python -m benchmarks.sharpness_solvers [--results FOLDER ...] [--samples N] [--subspace P]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.checkpoints import MADE, SAMPLES, Checkpoint, made, of_studies
from benchmarks.solvers import FACTORS, Comparison, compare


def chosen(options) -> Iterator[Checkpoint]:
    """Yield the checkpoints that the command line asks for."""
    samples = options.samples or None
    if not options.results:
        for size in MADE:
            yield from made(size, options.most)
    for folder in options.results:
        found = list(of_studies(folder, samples))
        yield from found[:: max(1, len(found) // options.most)][: options.most]


def line(name: str, result: Comparison) -> str:
    """Return a checkpoint's line of the table."""
    runs = [*result.scipy.values(), *(result.best[factor] for factor in FACTORS)]
    cells = [name, *(f"{run.phi:.4g} ({run.evaluations})" for run in runs), f"{result.ratio:.3f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", nargs="*", type=Path, default=[], help="`results` folders")
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, help=f"of f (default {SAMPLES}; 0: all)"
    )
    parser.add_argument("--most", type=int, default=22, help="checkpoints a folder (default 22)")
    parser.add_argument("--subspace", type=int, help="dimension (default: the full space)")
    options = parser.parse_args()
    heads = ["checkpoint", "f, 10", "f, 50", "1e4 f, 10", "1e4 f, 50"]
    heads += ["best against f", "best against 1e4 f", "smallest ratio"]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads), flush=True)
    ratios = []
    for checkpoint in chosen(options):
        result = compare(*checkpoint.load(), options.subspace)
        ratios.append(result.ratio)
        print(line(checkpoint.name, result), flush=True)
    below = sum(ratio < 0.995 for ratio in ratios)
    print(f"\n{len(ratios)} checkpoints, smallest ratio {min(ratios):.3f}, below 0.995: {below}")


if __name__ == "__main__":
    main()
