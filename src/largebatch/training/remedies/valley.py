"""Whether a noisy sequence of losses has passed its minimum, by a Gaussian process (AutoWU).

As in kakaobrain/autowu: the losses y_i of the steps so far, at x_i in [0, 1), are noisy values of a
process f with a constant mean and the covariance s * exp(-r^2 / (2 * 0.2^2)). After each epoch s
and the noise are fitted by the marginal likelihood of at most 100 points. Then, five times, the
posterior of f given a sub-sample is taken on a grid of [0, 1], and the sub-sample votes for a
minimum if

    max over i of P(f_i < f_last) > confidence,

with 1e-4 added to the variance of each difference. More than half of the votes decide.

Deviations (our choices): scikit-learn's Gaussian process, with its L-BFGS-B for s and the noise
instead of 100 ADAM steps of 0.01. An epoch's fit stays within a factor e of the one before, which
is as far as those steps reach in log scale; without this limit a loss that explodes within a few
steps is taken for noise. The start of s is 1; the mean is that of all losses so far; sub-samples
have at most 200 points, not 500, and the grid 201, not 500: 0.2 is far above both spacings.

The length of 0.2 is the method's, and so is what comes of it: a loss that falls to zero within a
small part of the warm-up seems to rise a little after its fall, which may count as a minimum there.
"""

import math
import warnings
from collections.abc import Sequence

LENGTH = 0.2
FIT, POSTERIOR, GRID, VOTES = 100, 200, 201, 5
START = (1.0, 1e-3)  # of s and of the noise variance, in squared losses
RANGE = (1e-4, 1e4)  # of both
SMALLEST_VARIANCE = 1e-4  # of a difference, in squared losses


class ValleyFinder:
    """The test after each epoch; it remembers its fit from one to the next.

    Args:
        random: a `numpy.random.Generator`, for the sub-samples.
        confidence: in (0.5, 1).
    """

    def __init__(self, random, confidence: float):
        self.random, self.confidence = random, confidence
        self.scale, self.noise = START

    def state(self) -> dict:
        """Return what the next calls depend on."""
        random = self.random.bit_generator.state
        return {"scale": self.scale, "noise": self.noise, "random": random}

    def restore(self, state: dict) -> None:
        """Go on from what `state` returned."""
        self.scale, self.noise = state["scale"], state["noise"]
        self.random.bit_generator.state = state["random"]

    def find(self, positions: Sequence[float], losses: Sequence[float]) -> list[float] | None:
        """Return where the loss was lowest, a position a vote, or None if it has not risen since.

        Args:
            positions: of all losses so far, in [0, 1).
            losses: as many; those that are not finite are dropped, fewer than two say nothing.
        """
        import numpy

        x, y = numpy.asarray(positions, float), numpy.asarray(losses, float)
        x, y = x[numpy.isfinite(y), None], y[numpy.isfinite(y)]
        if len(y) < 2:
            return None
        y = y - y.mean()
        chosen = self.random.permutation(len(y))[:FIT]
        self._fit(x[chosen], y[chosen])
        grid = numpy.linspace(0, 1, GRID)
        votes, lowest = 0, []
        for _ in range(VOTES):
            chosen = self.random.permutation(len(y))[:POSTERIOR]
            mean, covariance = self._posterior(x[chosen], y[chosen], grid[:, None])
            votes += rise_probability(mean, covariance) > self.confidence
            lowest.append(float(grid[mean.argmin()]))
        return lowest if votes > VOTES / 2 else None

    def _fit(self, x, y) -> None:
        import numpy
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        def near(value: float) -> tuple[float, float]:
            return max(RANGE[0], value / math.e), min(RANGE[1], value * math.e)

        kernel = ConstantKernel(self.scale, near(self.scale)) * RBF(LENGTH, "fixed")
        kernel += WhiteKernel(self.noise, near(self.noise))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bound is an answer too
            fitted = GaussianProcessRegressor(kernel, random_state=0).fit(x, y)
        self.scale, self.noise = numpy.exp(fitted.kernel_.theta).clip(*RANGE).tolist()

    def _posterior(self, x, y, grid):
        """Return mean and covariance on `grid` of the process without its noise, given (x, y)."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        kernel = ConstantKernel(self.scale) * RBF(LENGTH)
        process = GaussianProcessRegressor(kernel, alpha=self.noise, optimizer=None)
        return process.fit(x, y).predict(grid, return_cov=True)


def rise_probability(mean, covariance) -> float:
    """Return the largest probability that the last value is above another one.

    Args:
        mean, covariance: of jointly normal values, (n,) and (n, n), n at least 2.
    """
    import numpy

    variance = covariance.diagonal() + covariance[-1, -1] - 2 * covariance[-1]
    # Rounding may leave a variance that should be zero slightly below it.
    z = (mean[-1] - mean) / numpy.sqrt(numpy.maximum(variance, 0) + SMALLEST_VARIANCE)
    return 0.5 * math.erfc(-z[:-1].max() / math.sqrt(2))
