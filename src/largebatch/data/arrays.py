"""A dataset in memory and on disk: four tensors, checked, and a record of where they come from."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from largebatch.errors import InputError
from largebatch.storage import read_tensors, write_json, write_tensors

_TENSORS = ("train_inputs", "train_targets", "test_inputs", "test_targets")


@dataclass(frozen=True, eq=False)
class Arrays:
    """A dataset, checked at construction.

    Args:
        train_inputs: uint8 or float32, (N, features) | (N, channels, length) |
            (N, channels, height, width), finite.
        train_targets: int64 (N,), in 0..classes-1, every class present.
        test_inputs: as `train_inputs`, the same shape after N.
        test_targets: int64, in 0..classes-1.
        classes: number of classes, at least 2.
        source: the dataset's name in `SOURCES`.
        options: all options it was prepared with.
        class_names: one text a class, or None where they have no names.

    Raises:
        InputError: one of these does not hold.
    """

    train_inputs: torch.Tensor
    train_targets: torch.Tensor
    test_inputs: torch.Tensor
    test_targets: torch.Tensor
    classes: int
    source: str
    options: dict
    class_names: list[str] | None = None

    def __post_init__(self):
        if type(self.classes) is not int or self.classes < 2:
            raise InputError(
                f"{self.source}: classes is {self.classes!r}; it must be an integer >= 2"
            )
        _check_names(self.source, self.class_names, self.classes)
        for part in ("train", "test"):
            inputs, targets = getattr(self, f"{part}_inputs"), getattr(self, f"{part}_targets")
            _check_inputs(f"{self.source}: {part}_inputs", inputs)
            _check_targets(f"{self.source}: {part}_targets", targets, len(inputs), self.classes)
        train, test = self.train_inputs, self.test_inputs
        if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
            raise InputError(
                f"{self.source}: test_inputs are {test.dtype} {list(test.shape[1:])}, "
                f"train_inputs {train.dtype} {list(train.shape[1:])}; they must be alike"
            )
        # More classes than samples leave one of the first N + 1 empty: no longer table is needed.
        most = min(self.classes, len(self.train_targets) + 1)
        counts = self.train_targets.clamp(max=most - 1).bincount(minlength=most)
        absent = (counts == 0).nonzero().flatten()
        if absent.tolist() == [0] and not (self.test_targets == 0).any():
            raise InputError(
                f"{self.source}: labels run from 1 to {self.classes - 1}; they must count from 0"
            )
        if len(absent):
            raise InputError(
                f"{self.source}: no training sample of class {absent[0].item()} among "
                f"{len(train)}; every class 0..{self.classes - 1} must be there: take more"
            )


def save(arrays: Arrays, directory: str | Path) -> Path:
    """Write `arrays.safetensors` and `record.json`; the same arrays give the same bytes.

    Args:
        arrays: what `prepare` returned.
        directory: the folder, such as `results/data/{dataset}`; made if need be.

    Returns:
        The path of `arrays.safetensors`.
    """
    record = _record(arrays)
    path = Path(directory) / "arrays.safetensors"
    # A single metadata entry: safetensors writes several of them in no fixed order.
    metadata = {"record": json.dumps(record, sort_keys=True)}
    write_tensors(path, {name: getattr(arrays, name) for name in _TENSORS}, metadata)
    write_json(path.with_name("record.json"), record)
    return path


def load(path: str | Path, device: str | torch.device = "cpu") -> Arrays:
    """Read `arrays.safetensors` as training wants it: float32 inputs, uint8 ones divided by 255.

    Args:
        path: a file written by `save`; `record.json` beside it is not needed.
        device: where the tensors go.

    Raises:
        InputError: the file is absent, broken, or does not hold a dataset.
    """
    tensors = read_tensors(path)
    if set(tensors) != set(_TENSORS):
        raise InputError(f"{path}: holds {sorted(tensors)}; a dataset has {sorted(_TENSORS)}")
    try:
        with safe_open(path, "pt") as stream:
            record = json.loads(stream.metadata()["record"])
        about = {key: record[key] for key in ("classes", "source", "options")}
        about["class_names"] = record.get("class_names")
    except (TypeError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: has no record; write it with largebatch.data.save") from error
    try:
        Arrays(**tensors, **about)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    # Scaled before it is moved: a GPU multiplies by 1/255 instead, which rounds differently.
    for name in ("train_inputs", "test_inputs"):
        inputs = tensors[name]
        tensors[name] = inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs
    return Arrays(**{name: tensor.to(device) for name, tensor in tensors.items()}, **about)


def _record(arrays: Arrays) -> dict:
    """Return what `record.json` says: no dates, no host names."""
    counts = {
        part: getattr(arrays, f"{part}_targets").bincount(minlength=arrays.classes).tolist()
        for part in ("train", "test")
    }
    names = {} if arrays.class_names is None else {"class_names": arrays.class_names}
    return {
        "source": arrays.source,
        "options": arrays.options,
        "scale": "1/255" if arrays.train_inputs.dtype == torch.uint8 else "1",
        "input_shape": list(arrays.train_inputs.shape[1:]),
        "input_range": _range(arrays.train_inputs),
        "classes": arrays.classes,
        **names,
        "train_samples": len(arrays.train_inputs),
        "test_samples": len(arrays.test_inputs),
        "train_class_counts": counts["train"],
        "test_class_counts": counts["test"],
        "sha256": {name: _digest(getattr(arrays, name)) for name in _TENSORS},
    }


def _range(inputs: torch.Tensor) -> list[float]:
    """Return the smallest and largest value of the inputs as training gets them."""
    low, high = (value.item() for value in inputs.aminmax())
    return [low / 255, high / 255] if inputs.dtype == torch.uint8 else [low, high]


def _digest(tensor: torch.Tensor) -> str:
    """Return the SHA-256 of a tensor's bytes in row-major order."""
    return hashlib.sha256(tensor.cpu().contiguous().numpy()).hexdigest()


def _check_names(source: str, names: list[str] | None, classes: int) -> None:
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{source}: class_names are {names!r}; they must be a list of texts")
    if len(names) != classes:
        raise InputError(f"{source}: {len(names)} class_names for {classes} classes; one each")


def _check_inputs(name: str, inputs: torch.Tensor) -> None:
    if inputs.dtype not in (torch.uint8, torch.float32):
        raise InputError(f"{name}: dtype is {inputs.dtype}; it must be torch.uint8 or float32")
    if inputs.ndim not in (2, 3, 4) or inputs.numel() == 0:
        raise InputError(
            f"{name}: shape is {list(inputs.shape)}; it must be (N, features), "
            "(N, channels, length) or (N, channels, height, width), none of them 0"
        )
    # The extremes of an array with NaN are NaN: this is several times faster than isfinite().all().
    if inputs.is_floating_point() and not torch.stack(inputs.aminmax()).isfinite().all():
        sample = (~inputs.isfinite()).flatten(1).any(1).nonzero()[0].item()
        raise InputError(f"{name}: sample {sample} holds NaN or infinity; inputs must be finite")


def _check_targets(name: str, targets: torch.Tensor, count: int, classes: int) -> None:
    if targets.dtype != torch.int64 or targets.shape != (count,):
        raise InputError(
            f"{name}: {targets.dtype} {list(targets.shape)}; "
            f"must be torch.int64 [{count}], one a sample"
        )
    lowest, highest = targets.min().item(), targets.max().item()
    if lowest < 0 or highest >= classes:
        wrong = lowest if lowest < 0 else highest
        raise InputError(f"{name}: label {wrong}; labels must be in 0..{classes - 1}")
