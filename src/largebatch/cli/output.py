"""Where a command's result goes: a JSON or CSV file by its suffix, or standard output."""

import json
import math

import pandas as pd

from largebatch.storage import write_csv, write_json


def write(content: dict, path: str | None) -> None:
    """Write a command's result.

    Args:
        content: see `commands`; a table has its `results` only.
        path: a file ending in .json or .csv; None means JSON to standard output.
    """
    if path is not None and path.endswith(".csv"):
        write_csv(path, pd.DataFrame(content["results"]))
        return
    rows = [{key: _finite(value) for key, value in row.items()} for row in content["results"]]
    content = content | {"results": rows}
    if path is None:
        print(json.dumps(content, indent=1, allow_nan=False))
    else:
        write_json(path, content)


def _finite(value):
    """None for infinity and NaN, which a loss far from the ends can be and JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
