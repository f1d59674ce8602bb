"""Every random number of a study comes from a seed derived from its name."""

import hashlib


def derive_seed(study_seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on the study's seed and on every name, in order.

    Args:
        study_seed: the `seed` key of the study.
        names: what the numbers are for, such as `("F1", "trial", 3, "start")`. SB and LB runs of
            one trial share their starting point because the method is left out of its names.
    """
    text = "\x1f".join(str(part) for part in (study_seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, device: str = "cpu"):
    """Return a `torch.Generator` on `device` seeded with `seed`."""
    import torch

    return torch.Generator(device).manual_seed(seed)
