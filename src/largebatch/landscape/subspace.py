"""The matrix A of Metric 2.1: the identity, random columns, or a given matrix."""

import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from largebatch.memory import free_memory
from largebatch.precision import double
from largebatch.seeding import derive_seed, torch_generator

ROWS = 1024  # rows of A drawn from one seed; changing it changes every random subspace
HOLD_BYTES = 2**30  # up to this size A is held whatever memory is free
SHARE = 3  # a larger A is held in up to 1 / SHARE of the free memory, else drawn anew at each use
BLOCK_BYTES = 2**23  # of A at a time: bounds the working memory and float32's part of the sums


class FullSpace:
    """A = I: y has the shape of x."""

    def lift(self, y: Tensor) -> Tensor:
        return y

    def pull(self, gradient: Tensor) -> Tensor:
        return gradient

    def coordinates(self, x: Tensor) -> Tensor:
        return x


class Subspace:
    """The columns of A, shape (n, p), seen through consecutive blocks of rows.

    Args:
        x: gives n, dtype and device.
        dimension: p.
    """

    def __init__(self, x: Tensor, dimension: int):
        self.size, self.dimension = x.numel(), dimension
        self.dtype, self.device = x.dtype, x.device
        self._last: tuple[Tensor, Tensor] | None = None

    def rows(self, block: slice) -> Tensor:
        """Return A[block], in x's dtype and on its device."""
        raise NotImplementedError

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (block, A[block]) over all rows, a whole number of drawing units at a time."""
        unit = ROWS * self.dimension * self.dtype.itemsize
        step = ROWS * max(1, BLOCK_BYTES // unit)
        for start in range(0, self.size, step):
            block = slice(start, min(start + step, self.size))
            yield block, self.rows(block)

    def lift(self, y: Tensor) -> Tensor:
        """Return A y, shape (n,)."""
        return torch.cat([matrix @ y for _, matrix in self.blocks()])

    def pull(self, gradient: Tensor) -> Tensor:
        """Return A^T g, shape (p,), summed over blocks in float64."""
        total = 0.0
        for block, matrix in self.blocks():
            total = total + double(matrix.T @ gradient[block])
        return total.to(gradient)

    def coordinates(self, x: Tensor) -> Tensor:
        """Return A+ x = (A^T A)^-1 A^T x in float64, shape (p,); computed once for the same x.

        Raises:
            ValueError: the columns of A are linearly dependent.
        """
        if self._last is None or not torch.equal(self._last[0], x):
            self._last = x, self._solve(x)
        return self._last[1].clone()

    def _solve(self, x: Tensor) -> Tensor:
        gram, moment = 0.0, 0.0
        for block, matrix in self.blocks():
            matrix = double(matrix)
            gram = gram + matrix.T @ matrix
            moment = moment + matrix.T @ double(x[block])
        norms = gram.diagonal().sqrt()
        if not bool((norms > 0).all()):
            raise ValueError("subspace: a column of A is zero; columns must be independent")
        scaled = gram / norms / norms[:, None]
        smallest = float(torch.linalg.eigvalsh(scaled)[0])
        if smallest < self.dimension * 1e-14:
            raise ValueError("subspace: the columns of A are linearly dependent")
        return torch.linalg.solve(scaled, moment / norms) / norms


class RandomSubspace(Subspace):
    """A with independent N(0, 1) entries that depend on the seed only.

    Rows are drawn in float32 on the CPU in fixed units, each from its own seed, and then cast: so
    neither the number of rows, the dtype, the device nor `hold_bytes` changes an entry.

    Args:
        seed: in [0, 2**63).
        x: gives n, dtype and device.
        dimension: p.
        hold_bytes: A is kept in memory up to this size, else regenerated at each use; None: as the
            free memory allows (see `holds`).
    """

    def __init__(self, seed: int, x: Tensor, dimension: int, hold_bytes: int | None = None):
        super().__init__(x, dimension)
        self.seed, self.held = seed, None
        size = self.size * dimension * self.dtype.itemsize
        if holds(size, x.device) if hold_bytes is None else size <= hold_bytes:
            held = x.new_empty(self.size, dimension)
            for block, matrix in self.blocks():
                held[block] = matrix
            self.held = held

    def rows(self, block: slice) -> Tensor:
        if self.held is not None:
            return self.held[block]
        matrix = torch.empty(block.stop - block.start, self.dimension, dtype=torch.float32)
        for start in range(block.start, block.stop, ROWS):
            generator = torch_generator(derive_seed(self.seed, "rows", start // ROWS))
            unit = torch.randn(ROWS, self.dimension, generator=generator, dtype=torch.float32)
            place = start - block.start
            matrix[place : place + ROWS] = unit[: block.stop - start]
        return matrix.to(self.device, self.dtype)


class GivenSubspace(Subspace):
    """A given matrix A, shape (n, p), in x's dtype and on its device."""

    def __init__(self, matrix: Tensor):
        super().__init__(matrix[:, 0], matrix.shape[1])
        self.matrix = matrix

    def rows(self, block: slice) -> Tensor:
        return self.matrix[block]


def holds(size: int, device: torch.device) -> bool:
    """Whether A, of so many bytes, is to be held on a device; its entries do not depend on that.

    Only a share of the free memory is taken: f needs some, and so do other jobs.
    """
    return size <= HOLD_BYTES or size <= free_memory(device) / SHARE


def draw_seed(generator: torch.Generator) -> int:
    """Return an integer in [0, 2**63 - 1) from `generator`."""
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))


def make_space(
    subspace: int | Tensor | Subspace | None, x: Tensor, seed: int
) -> FullSpace | Subspace:
    """Return A as asked for by the `subspace` argument of `sharpness`.

    Args:
        subspace: None (A = I), a dimension 1..n (random columns from `seed`), A itself, or what an
            earlier call returned (several searches in one subspace: A is drawn once).
        x: the point, shape (n,).
        seed: of the random columns.

    Raises:
        ValueError: a dimension out of range or not an integer; a matrix of another shape, of
            another type than float, or with entries that are not finite.
    """
    if subspace is None:
        return FullSpace()
    if isinstance(subspace, Subspace):
        return subspace
    if isinstance(subspace, Tensor) and subspace.dim() > 0:
        return GivenSubspace(_check_matrix(subspace, x))
    wrong = f"subspace: {subspace!r}; None, an integer from 1 to {x.numel()}, or a tensor (n, p)"
    try:
        dimension = operator.index(subspace)
    except TypeError as error:
        raise ValueError(wrong) from error
    if isinstance(subspace, bool) or not 1 <= dimension <= x.numel():
        raise ValueError(wrong)
    return RandomSubspace(seed, x, dimension)


def _check_matrix(matrix: Tensor, x: Tensor) -> Tensor:
    shape, n = tuple(matrix.shape), x.numel()
    if len(shape) != 2 or shape[0] != n or not 1 <= shape[1] <= n:
        raise ValueError(f"subspace: shape {shape}; A must be ({n}, p) with p from 1 to {n}")
    if not matrix.is_floating_point():
        raise ValueError(f"subspace: {matrix.dtype}; A must be a float tensor")
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError("subspace: A contains NaN or infinite entries; all must be finite")
    return matrix.detach().to(x.device, x.dtype)
