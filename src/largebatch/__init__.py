"""largebatch: why large-batch training generalizes worse, and what to do about it.

The public interface is imported on first use, so that `import largebatch` costs nothing and the
stages of the workflow load only what they need.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "sharpness": "largebatch.landscape",
    "interpolate": "largebatch.landscape",
    "module_sharpness": "largebatch.landscape",
    "module_interpolate": "largebatch.landscape",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'largebatch' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return sorted(__all__)
