"""Which remedies there are, which part of a run each changes, and which do not go together.

What they do is in `largebatch.training.remedies`. This table loads no torch: a study is checked,
and its jobs are planned, before anything computes.
"""

from collections.abc import Iterator
from itertools import combinations

# Remedy -> the part of a run that it changes. Two that change the same part exclude each other.
SLOTS = {
    "ghost_batchnorm": "batch normalization",
    "lars": "optimizer",
    "lamb": "optimizer",
    "augmentation": "data",
    "adversarial": "loss",
    "stability": "loss",
    "conadv": "loss",
    "sam": "update",
    "conservative": "update",
    "decentralized": "update",
    "scaling": "learning rate",
    "legw": "learning rate",
    "autowu": "learning rate",
    "growth": "batch size",
    "warm_start": "batch size",
    "averaging": "weights",
}
FULL_BATCH = "its rate is scaled to the run's batch, which the first epochs do not have"
# Pairs that change different parts and yet exclude each other, and why.
REFUSED = {
    ("lars", "conservative"): "its sub-problems are solved by ADAM (Keskar et al., Appendix E)",
    ("lamb", "conservative"): "its sub-problems are solved by ADAM (Keskar et al., Appendix E)",
    ("lars", "decentralized"): "its three algorithms are defined for SGD with momentum",
    ("lamb", "decentralized"): "its three algorithms are defined for SGD with momentum",
    ("ghost_batchnorm", "conadv"): "both replace batch normalization",
    ("ghost_batchnorm", "decentralized"): "each worker normalizes over its own samples already",
    ("conadv", "decentralized"): "the stale weights would be one worker's, the gradient another's",
    ("decentralized", "growth"): "the workers' shares are cut for one batch size",
    ("decentralized", "warm_start"): "the workers' shares are cut for one batch size",
    ("scaling", "growth"): FULL_BATCH,
    ("scaling", "warm_start"): FULL_BATCH,
    ("legw", "growth"): FULL_BATCH,
    ("legw", "warm_start"): FULL_BATCH,
}
OVERRIDES = ("training", "batch_size")  # keys of an arm that are no remedies


def remedies_of(arm: dict) -> dict[str, dict]:
    """Return the remedies of an arm with their options, in the order in which they are put in."""
    return {name: arm[name] for name in SLOTS if name in arm}


def conflicts(names) -> Iterator[str]:
    """Yield why some of these remedies do not go together, a line a pair.

    Args:
        names: keys of SLOTS; others are passed over.
    """
    for first, second in combinations([name for name in SLOTS if name in names], 2):
        if SLOTS[first] == SLOTS[second]:
            yield f"{first} and {second} both change the {SLOTS[first]}; keep one of them"
        elif (first, second) in REFUSED:
            yield f"{first} does not go with {second}: {REFUSED[first, second]}; keep one of them"
