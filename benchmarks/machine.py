"""What the numbers were measured on."""

import os
from datetime import UTC, datetime

from largebatch.provenance import commit, device, versions


def describe(threads: int) -> dict[str, str]:
    """Return machine, versions and circumstances, as text by name.

    Args:
        threads: CPU threads of each timed process.
    """
    code, machine, packages = commit(), device(), versions()
    changed = " with uncommitted changes" if code["dirty"] else ""
    return {
        "processor": f"{machine['cpu']}, {machine['cores']} cores",
        "threads of a process": str(threads),
        # Others' work on the machine spoils timings, so it is told.
        "load before the start": ", ".join(f"{load:.2f}" for load in os.getloadavg())
        if hasattr(os, "getloadavg")
        else "unknown",
        "system": machine["system"],
        **{name: packages[name] for name in ("python", "torch", "numpy", "scipy")},
        "commit": f"{code['hash'] or 'no git'}{changed}",
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def set_threads(threads: int) -> None:
    """Set up torch as the stages do, with this many CPU threads."""
    from largebatch.runtime import set_up_torch

    set_up_torch("cpu", threads)
