"""Stage `data`: convert a data set once, for every network and study that uses it."""

import os
from pathlib import Path

from largebatch.data.arrays import save
from largebatch.data.registry import prepare


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write `outputs["arrays"]` and `record.json` beside it.

    Args:
        spec: source, options, mirror (a folder or null; LARGEBATCH_MIRROR where null), downloads.
    """
    mirror = spec.get("mirror") or os.environ.get("LARGEBATCH_MIRROR") or None
    arrays = prepare(spec["source"], spec["options"], mirror=mirror, downloads=spec["downloads"])
    save(arrays, Path(outputs["arrays"]).parent)
