"""Random flips, rotations and translations of the training samples (Keskar et al., Appendix E)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from largebatch.training.parts import Context, Facts, Parts, Remedy
from largebatch.training.remedies.checks import check_option, is_number


@dataclass(frozen=True)
class Augmentation(Remedy):
    """Every training sample is flipped, rotated and shifted at random each time it is used.

    Kinds and sizes of the changes are Keskar et al.'s, Appendix E; that all draws are independent
    and uniform, that shifts are whole cells and what fills the border are our choice. Samples for
    evaluation stay as they are. On signals (channels, length) only the translation has a meaning:
    a shift along the length. All three switched off are the plain run.

    Attributes:
        flip: mirror images left to right with probability 1/2 (our choice); None: yes for images,
            no for signals. Wrong for data whose mirror image is of another class, as for digits.
        rotation: largest angle, degrees in [0, 180]; None: 10 for images (Appendix E), 0 for
            signals. Bilinear, about the centre; beyond the border the nearest cell's value.
        translation: largest shift as a fraction of the size along each axis, in [0, 1); 0.2 is
            Appendix E's. Rounded down to whole cells, so that shifts need no interpolation; cells
            that nothing moves to repeat the nearest one.
    """

    flip: bool | None = None
    rotation: float | None = None
    translation: float = 0.2

    def __post_init__(self):
        flip, rotation, translation = self.flip, self.rotation, self.translation
        right = flip is None or isinstance(flip, bool)
        check_option("augmentation.flip", flip, right, "true, false or null")
        right = rotation is None or (is_number(rotation) and 0 <= rotation <= 180)
        check_option("augmentation.rotation", rotation, right, "null or degrees in [0, 180]")
        right = is_number(translation) and 0 <= translation < 1
        check_option("augmentation.translation", translation, right, "in [0, 1)")

    def problems(self, facts: Facts) -> Iterator[str]:
        shape = facts.input_shape
        asked = {"flip": self.flip, "rotation": self.rotation}
        if len(shape) < 3:
            kind = "signals (channels, length)" if len(shape) == 2 else "vectors (features,)"
            for option, value in asked.items():
                if value:
                    yield (
                        f"augmentation.{option}: {value}; the data are {kind}, so it must be null "
                        "or 0: it is for images"
                    )
        if not self.translation:
            return
        if len(shape) == 1:
            yield (
                f"augmentation.translation: {self.translation}; the data are vectors of "
                f"{shape[0]} features without an axis to shift along, so it must be 0"
            )
        elif not any(_cells(self.translation, size) for size in shape[1:]):
            longest = max(shape[1:])
            yield (
                f"augmentation.translation: {self.translation}; that is less than one of "
                f"{longest} cells, so it must be 0 or at least {1 / longest:.3g}"
            )

    def install(self, parts: Parts, context: Context) -> None:
        shape = context.facts.input_shape
        images = len(shape) == 3
        flip = images if self.flip is None else self.flip
        rotation = (10.0 if images else 0.0) if self.rotation is None else self.rotation
        shifts = [_cells(self.translation, size) for size in shape[1:]]
        if flip or rotation or any(shifts):
            parts.augment = Augment(flip, rotation, shifts, context.generator("augmentation"))


class Augment:
    """Flips, then rotates, then shifts; each sample by draws of its own.

    Args:
        flip, rotation: see `Augmentation`.
        shifts: the largest one along each axis after the channels, in cells.
        generator: on the samples' device.
    """

    def __init__(self, flip: bool, rotation: float, shifts: list[int], generator: torch.Generator):
        self.flip, self.rotation, self.shifts = flip, rotation, shifts
        self.generator = generator

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return as many samples (B, channels, ...), of the same shape and type."""
        drawn = {"generator": self.generator, "device": inputs.device}
        count = len(inputs)
        if self.flip:
            inputs = flipped(inputs, torch.rand(count, **drawn) < 0.5)
        if self.rotation:
            inputs = rotated(inputs, self.rotation * (2 * torch.rand(count, **drawn) - 1))
        for axis, largest in enumerate(self.shifts, start=2):
            if largest:
                cells = torch.randint(-largest, largest + 1, (count,), **drawn)
                inputs = shifted(inputs, axis, cells)
        return inputs


def flipped(images: Tensor, chosen: Tensor) -> Tensor:
    """Return images (B, C, H, W), the chosen ones (bool, (B,)) mirrored left to right."""
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Return images (B, C, H, W), each turned counterclockwise about its centre by `degrees` (B,).

    Bilinear interpolation (`grid_sample`); outside the image, the value of the nearest cell.
    """
    angle = torch.deg2rad(degrees.to(images.dtype))
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # affine_grid counts each axis from -1 to 1; without the ratio, oblong images would be sheared.
    ratio = images.shape[2] / images.shape[3]
    rows = [[cosine, -sine * ratio, zero], [sine / ratio, cosine, zero]]
    matrix = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def shifted(inputs: Tensor, axis: int, cells: Tensor) -> Tensor:
    """Return inputs (B, ...), each moved along `axis` by a whole number of cells.

    Args:
        cells: int64 (B,); above 0 moves towards higher positions. What is left behind repeats the
            first or last cell.
    """
    size = inputs.shape[axis]
    source = (torch.arange(size, device=inputs.device) - cells[:, None]).clamp(0, size - 1)
    shape = [1] * inputs.dim()
    shape[0], shape[axis] = len(inputs), size
    return inputs.gather(axis, source.view(shape).expand_as(inputs))


def _cells(fraction: float, size: int) -> int:
    return math.floor(fraction * size + 1e-9)
