"""Digits: 1797 grey images of 8 x 8 of handwritten digits, part of scikit-learn, no download.

Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI, 1998 (its testing
part).
"""

from largebatch.data import draws
from largebatch.data.checks import check_fraction, check_integer

OPTIONS = {
    "test_fraction": 0.2,  # the same share of every digit
    "seed": 0,  # of the split and the order
}
CLASSES = 10


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    check_fraction("digits.test_fraction", options["test_fraction"])
    check_integer("digits.seed", options["seed"], 0)


def prepare(options: dict, fetch) -> dict:
    """Read the images and split them; the same options give the same bytes.

    Args:
        options: `test_fraction`, `seed`.
        fetch: not used.

    Returns:
        float32 inputs (N, 1, 8, 8), the levels 0..16 divided by 16, int64 targets (N,), both parts
        in an order drawn from `seed`; `classes`.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    inputs = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    generator = np.random.default_rng(options["seed"])
    train, test = draws.split(targets, options["test_fraction"], generator)
    return {
        "train_inputs": inputs[train],
        "train_targets": targets[train].astype(np.int64),
        "test_inputs": inputs[test],
        "test_targets": targets[test].astype(np.int64),
        "classes": CLASSES,
    }
