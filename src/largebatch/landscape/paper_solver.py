"""The paper's solver, literally: ten iterations of L-BFGS-B (Sec. 2.2.2) by SciPy."""

import numpy as np
import torch
from scipy.optimize import fmin_l_bfgs_b
from torch import Tensor

from largebatch.landscape.objective import Evaluator

OPTIONS = {"maxiter": 10, "factr": 0.0, "pgtol": 0.0, "maxls": 20, "maxfun": 10**6}


def solve(evaluator: Evaluator) -> tuple[float, Tensor, int, str]:
    """Return f and y of SciPy's final iterate on -f from y = 0, its iterations and its message.

    No tolerance stops it early; close to a minimizer, where the gradient is tiny and -f concave,
    it may still end where it began.
    """
    bounds = evaluator.bounds
    upper = bounds.cpu().double().numpy()

    def negative(y: np.ndarray) -> tuple[float, np.ndarray]:
        if not y.any():
            value, gradient = evaluator.base, evaluator.base_gradient
        else:
            value, gradient = evaluator.at(torch.from_numpy(y).to(bounds))
        return -value, -gradient.cpu().double().numpy()

    # Not `minimize`, which is the same code behind two more conversions of the bounds, number by
    # number: a sixth of the search's time at n = 280,000.
    y, lowest, details = fmin_l_bfgs_b(
        negative, np.zeros_like(upper), bounds=np.stack([-upper, upper], axis=1), **OPTIONS
    )
    value, message, iterations = -float(lowest), details["task"], details["nit"]
    if not value >= evaluator.base:  # NaN or infinity on the way
        message += "; ended below f(x), y = 0 is taken"
        return evaluator.base, torch.zeros_like(bounds), iterations, message
    return value, torch.from_numpy(y).to(bounds), iterations, message
