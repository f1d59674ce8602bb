"""Broken inputs thrown at every loader: how many were tried, accepted and refused.

Any other ending (another exception, more than 10 s, 64 MiB for a few kilobytes) stops the
script with that input. Needs the test dependencies (`pip install -e '.[test]'`).

    python benchmarks/malformed.py [--examples 500]
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit"))

from broken_files import LOADERS
from malformed import attack
from test_malformed_configs import attack as attack_studies


def main() -> None:
    """Print a table of all loaders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=500, help="inputs a loader (default 500)")
    examples = parser.parse_args().examples
    print(f"| {'input':14} | tried | accepted | refused |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (wholes, load) in LOADERS.items():
            show(name, attack(load, wholes, examples, Path(folder)))
        show("study", attack_studies(examples))


def show(name: str, ends) -> None:
    """Print one line of the table."""
    print(
        f"| {name:14} | {ends.total():5} | {ends['accepted']:8} | {ends['refused']:7} |", flush=True
    )


if __name__ == "__main__":
    main()
