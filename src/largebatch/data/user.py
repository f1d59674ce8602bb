"""The user's own data: `module:function`, called with the options as keywords.

The module is found in the working directory or among the installed ones. The function returns a
mapping with `train_inputs`, `train_targets`, `test_inputs`, `test_targets` (numpy arrays or torch
tensors) and, if it likes, `classes` and `class_names`; or a tuple of the four, in this order. Its
random numbers should come from an option such as `seed`, so that it returns the same each time; its
samples should be in no order by class, as networks are evaluated on consecutive batches.
"""

import json
import keyword
from collections.abc import Mapping

from largebatch.errors import InputError
from largebatch.usercode import call, check_name

ARRAYS = ("train_inputs", "train_targets", "test_inputs", "test_targets")
_EXACT = 1 << 24  # float32 holds all integers up to here


def check(source: str, options: dict) -> None:
    """Raise InputError for a wrong spelling or options that cannot be keywords or JSON.

    Nothing is imported.
    """
    check_name("data", source)
    for key in options:
        if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
            raise InputError(f"{source}: option {key!r} cannot be a keyword; give it another name")
    try:
        again = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: options must be plain values, as in YAML ({error})") from error
    if again != options:
        raise InputError(f"{source}: options {options!r} have keys that are no text; quote them")


def prepare(source: str, options: dict) -> dict:
    """Call the function and convert what it returns.

    Args:
        source: `module:function`.
        options: its keywords.

    Returns:
        As a dataset's `prepare`: numpy inputs of uint8 (kept) or float32 (all other numbers),
        targets of int64, `classes` (default: the largest target + 1), `class_names` (or None).

    Raises:
        InputError: no such module or function, it failed, or it returned something else.
    """
    parts = _parts(source, call("data", source, options))
    contents = {}
    for name in ARRAYS:
        convert = _inputs if name.endswith("inputs") else _targets
        contents[name] = convert(f"{source}: {name}", _array(f"{source}: {name}", parts[name]))
    classes = parts.get("classes")
    if classes is None:
        targets = [contents[name] for name in ("train_targets", "test_targets")]
        classes = 1 + max((int(part.max()) for part in targets if part.size), default=0)
    contents["classes"] = int(classes) if _is_integer(classes) else classes
    names = parts.get("class_names")
    contents["class_names"] = list(names) if isinstance(names, tuple) else names
    return contents


def _parts(source: str, returned) -> Mapping:
    if isinstance(returned, tuple) and len(returned) == len(ARRAYS):
        return dict(zip(ARRAYS, returned, strict=True))
    wanted = f"it must return a mapping with {', '.join(ARRAYS)}, or a tuple of these four"
    if not isinstance(returned, Mapping):
        size = f" of {len(returned)}" if isinstance(returned, tuple | list) else ""
        raise InputError(f"{source}: returned a {type(returned).__name__}{size}; {wanted}")
    missing = [name for name in ARRAYS if name not in returned]
    others = [str(key) for key in returned if key not in (*ARRAYS, "classes", "class_names")]
    if missing:
        raise InputError(f"{source}: returned no {', '.join(missing)}; {wanted}")
    if others:
        raise InputError(
            f"{source}: returned {', '.join(others)} too; beside the four arrays there may be "
            "classes and class_names"
        )
    return returned


def _array(name: str, value):
    """Return a numpy array or a torch tensor as a numpy array."""
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        try:
            value = value.detach().cpu()
            # numpy has no bfloat16
            value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        except (TypeError, RuntimeError) as error:
            raise InputError(f"{name}: cannot be made a numpy array ({error})") from error
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"{name}: is a {type(value).__name__}; it must be a numpy array or torch tensor"
        )
    return value


def _inputs(name: str, array):
    """Return uint8 as it is, other numbers as float32 if nothing but digits is lost."""
    import numpy as np

    if array.dtype == np.uint8:
        return np.array(array, order="C")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: dtype is {array.dtype}; it must be uint8, float or integer")
    if array.dtype.kind in "iu" and array.size:
        lowest, highest = int(array.min()), int(array.max())
        if max(-lowest, highest) > _EXACT:
            raise InputError(
                f"{name}: has {lowest if -lowest > highest else highest}; float32 holds integers "
                f"up to {_EXACT} only: scale them"
            )
    with np.errstate(over="ignore"):  # infinities are refused by name later
        return np.array(array, np.float32, order="C")


def _targets(name: str, array):
    import numpy as np

    if array.dtype.kind not in "iu":
        raise InputError(f"{name}: dtype is {array.dtype}; it must be an integer type, classes 0..")
    return np.array(array, np.int64)


def _is_integer(value) -> bool:
    import numpy as np

    return isinstance(value, int | np.integer) and not isinstance(value, bool)
