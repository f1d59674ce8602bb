"""How fast this project is beside what a user would write or pick instead: `python -m benchmarks`.

A row is a small file in `benchmarks/rows`: its `ROWS` names one or more functions

    measure(repeats: int, quick: bool) -> Row | list[Row]

(see `benchmarks.suite`) that time two or more implementations of the same work in turn. Heavy
imports belong inside the functions: listing the rows loads no torch.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))  # of this checkout, also where another is installed
