"""Data of a user's own: what a study names `tests.workflow.tiny_data:hundred_classes`."""

import numpy as np


def hundred_classes(samples: int = 400) -> dict:
    """Return images of noise, 3 x 8 x 8, in 100 classes that the noise knows nothing of."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (samples + 100, 3, 8, 8), dtype=np.uint8)
    targets = np.arange(samples + 100) % 100
    return {
        "train_inputs": images[:samples],
        "train_targets": targets[:samples],
        "test_inputs": images[samples:],
        "test_targets": targets[samples:],
    }
