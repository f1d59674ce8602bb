"""Datasets: a source name and its options become training and testing arrays.

A new dataset is one new module here and one line in `registry.SOURCES`. The public names are
imported on first use: reading arrays needs neither the downloads nor any dataset's module, and
checking a study's options needs no torch.
"""

from importlib import import_module

_PUBLIC = {
    "SOURCES": "largebatch.data.registry",
    "check_options": "largebatch.data.registry",
    "prepare": "largebatch.data.registry",
    "Arrays": "largebatch.data.arrays",
    "save": "largebatch.data.arrays",
    "load": "largebatch.data.arrays",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'largebatch.data' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return sorted(__all__)
