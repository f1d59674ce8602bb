"""f as a function of one flat vector: sharpness (Metric 2.1) and interpolation."""

from largebatch.landscape.interpolation import interpolate, module_interpolate, point_on_path
from largebatch.landscape.metric import SharpnessResult, measure, module_sharpness, sharpness
from largebatch.landscape.modules import ModuleObjective, flatten
from largebatch.landscape.objective import FunctionObjective

__all__ = [
    "FunctionObjective",
    "ModuleObjective",
    "SharpnessResult",
    "flatten",
    "interpolate",
    "measure",
    "module_interpolate",
    "module_sharpness",
    "point_on_path",
    "sharpness",
]
