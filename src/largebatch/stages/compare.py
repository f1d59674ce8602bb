"""Two versions of a file, compared: by digest, then value by value."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from largebatch.errors import InputError
from largebatch.storage import read_json, sha256

IDENTICAL, WITHIN, DIFFERENT, MISSING = "identical", "within tolerance", "different", "missing"
ORDER = (IDENTICAL, WITHIN, DIFFERENT, MISSING)
TIMES = ("seconds", "wall_seconds", "peak_memory_mb", "started")  # never the same twice


@dataclass(frozen=True)
class Difference:
    """How two versions of a file differ.

    Attributes:
        verdict: one of ORDER, from best to worst.
        largest: largest relative difference of two numbers; 0 if identical, infinity if something
            else than a finite number differs.
        where: the column, tensor or key it is in.
        epoch: first row that differs at all, by its column `epoch`; None where there is none.
    """

    verdict: str
    largest: float = 0.0
    where: str = ""
    epoch: int | None = None


def compare(own: str | Path, again: str | Path, tolerance: float) -> Difference:
    """Compare two files of the same kind: .safetensors, .csv or .json, others by digest alone.

    Tensors are compared relative to their largest entry, other numbers each to the larger of the
    two. Columns of times are left out.

    Args:
        own, again: the files.
        tolerance: largest relative difference that counts as agreement, in [0, 1).
    """
    for name, path in (("the study", own), ("what was made again", again)):
        if not Path(path).is_file():
            return Difference(MISSING, math.inf, f"{name} has no such file")
    if sha256(own) == sha256(again):
        return Difference(IDENTICAL)
    kinds = {".safetensors": _tensors, ".csv": _tables, ".json": _json}
    kind = kinds.get(Path(own).suffix)
    if kind is None:
        return Difference(DIFFERENT, math.inf, "the bytes")
    try:
        largest, where, epoch = kind(own, again)
    except InputError as error:
        return Difference(DIFFERENT, math.inf, str(error))
    if largest == 0:  # the same values in other bytes, or times alone
        return Difference(IDENTICAL)
    return Difference(WITHIN if largest <= tolerance else DIFFERENT, largest, where, epoch)


def worst(differences: list[Difference]) -> Difference:
    """Return the one with the worst verdict, of these that with the largest difference."""
    return max(differences, key=lambda d: (ORDER.index(d.verdict), d.largest))


def _tensors(own, again) -> tuple[float, str, None]:
    first, second = _arrays(own), _arrays(again)
    if set(first) != set(second):
        return math.inf, f"tensor {min(set(first) ^ set(second))}, which only one has", None
    found = (0.0, "")
    for name, a in first.items():
        b = second[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            return math.inf, f"the shape or type of tensor {name}", None
        a, b = a.astype(float), b.astype(float)
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
        if not differ.any():
            continue
        with np.errstate(invalid="ignore"):  # of infinities
            gap = float(np.abs(a - b)[differ].max())
        scale = float(max(np.abs(a).max(), np.abs(b).max()))
        share = gap / scale if math.isfinite(gap) and math.isfinite(scale) else math.inf
        if share > found[0]:
            found = (share, f"tensor {name} (by {gap:.3g})")
    return *found, None


def _arrays(path) -> dict[str, np.ndarray]:
    """Read weights without torch, which takes longer to load than they do."""
    try:
        return load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as numbers ({error})") from error


def _tables(own, again) -> tuple[float, str, int | None]:
    first, second = (_table(path) for path in (own, again))
    if list(first) != list(second):
        odd = sorted(set(first) ^ set(second)) or ["their order"]
        return math.inf, f"columns: {', '.join(odd)}", None
    rows = min(len(first), len(second))
    found, epochs = (0.0, ""), []
    for column in first:
        pairs = zip(first[column][:rows], second[column][:rows], strict=True)
        apart = [_apart(*pair) for pair in pairs]
        differing = [row for row, gap in enumerate(apart) if gap > 0]
        if differing:
            found = max(found, (max(apart), f"column {column}"))
            epochs.append(first["epoch"][differing[0]] if "epoch" in first else math.inf)
    if len(first) != len(second):
        found = (math.inf, f"{len(first)} and {len(second)} rows")
        longer = first if len(first) > rows else second
        epochs.append(longer["epoch"][rows] if "epoch" in first else math.inf)
    epoch = min(epochs, default=math.inf)
    return *found, int(epoch) if math.isfinite(epoch) else None


def _table(path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except pd.errors.EmptyDataError:  # a table without columns
        table = pd.DataFrame()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    return table[[column for column in table if column not in TIMES]]


def _json(own, again) -> tuple[float, str, None]:
    first, second = dict(_leaves(read_json(own))), dict(_leaves(read_json(again)))
    odd = sorted(set(first) ^ set(second))
    if odd:
        return math.inf, f"key {odd[0]}, which only one has", None
    gaps = [(_apart(first[key], second[key]), f"key {key}") for key in first]
    return *max(gaps, key=lambda gap: gap[0], default=(0.0, "")), None


def _leaves(value, place: str = ""):
    """Yield (place, value) of all that is no list and no mapping, but empty ones too."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            if key not in TIMES:
                yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _apart(a, b) -> float:
    """Return the relative difference of two cells; infinity where they are no numbers."""
    if _number(a) and _number(b):
        if a == b or (math.isnan(a) and math.isnan(b)):
            return 0.0
        gap = (
            abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a) and math.isfinite(b) else math.inf
        )
        return gap if math.isfinite(gap) else math.inf
    return 0.0 if type(a) is type(b) and a == b else math.inf


def _number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
