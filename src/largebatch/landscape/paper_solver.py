"""The paper's solver, literally: ten iterations of L-BFGS-B (Sec. 2.2.2) by SciPy."""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from largebatch.landscape.objective import Evaluator

OPTIONS = {"maxiter": 10, "ftol": 0.0, "gtol": 0.0, "maxls": 20, "maxfun": 10**6}


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

    result = minimize(
        negative,
        np.zeros_like(upper),
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([-upper, upper], axis=1),
        options=OPTIONS,
    )
    value, message = -float(result.fun), result.message
    if not value >= evaluator.base:  # NaN or infinity on the way
        message += "; ended below f(x), y = 0 is taken"
        return evaluator.base, torch.zeros_like(bounds), result.nit, message
    return value, torch.from_numpy(result.x).to(bounds), result.nit, message
