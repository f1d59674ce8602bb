"""The command line for weights that exist already: `largebatch sharpness WEIGHTS ...`.

The workflow's own bridge is another one: `python -m largebatch STAGE ...`.
"""

from largebatch.cli.entry import main

__all__ = ["main"]
