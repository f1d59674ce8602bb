"""f as a function of one flat vector: sharpness (Metric 2.1) and interpolation.

The public names are imported on first use: interpolation does not depend on the solvers.
"""

from importlib import import_module

_PUBLIC = {
    "FunctionObjective": "largebatch.landscape.objective",
    "ModuleObjective": "largebatch.landscape.modules",
    "SharpnessResult": "largebatch.landscape.metric",
    "flatten": "largebatch.landscape.modules",
    "interpolate": "largebatch.landscape.interpolation",
    "measure": "largebatch.landscape.metric",
    "module_interpolate": "largebatch.landscape.interpolation",
    "module_sharpness": "largebatch.landscape.metric",
    "point_on_path": "largebatch.landscape.interpolation",
    "sharpness": "largebatch.landscape.metric",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'largebatch.landscape' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return sorted(__all__)
