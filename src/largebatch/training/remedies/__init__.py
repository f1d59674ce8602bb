"""Remedies for large-batch training: one file each, all of them in `registry`."""

from largebatch.training.remedies.registry import REMEDIES, make

__all__ = ["REMEDIES", "make"]
