"""Stage `data`: convert a data set once, for every network and study that uses it."""

import os
from pathlib import Path

from largebatch.data.arrays import save
from largebatch.data.registry import prepare


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write `outputs["arrays"]` and `record.json` beside it.

    Args:
        spec: source and options. Where its files lie does not change the data, so it is told by
            the environment: LARGEBATCH_MIRROR and LARGEBATCH_DOWNLOADS (default `downloads`).
    """
    mirror = os.environ.get("LARGEBATCH_MIRROR") or None
    downloads = os.environ.get("LARGEBATCH_DOWNLOADS") or "downloads"
    arrays = prepare(spec["source"], spec["options"], mirror=mirror, downloads=downloads)
    save(arrays, Path(outputs["arrays"]).parent)
