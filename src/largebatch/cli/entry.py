"""From the words of a command line to its result and exit code."""

import argparse
import contextlib
import sys

from largebatch.cli.arguments import parse
from largebatch.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 after printing one line on input that cannot be used.

    Args:
        arguments: words after `largebatch`; None means those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(words)
        if options.command == "verify-archive":
            _verify_archive(options)
            return 0
        from largebatch.cli import commands, output  # torch and pandas, once all words are checked

        # Standard output holds the result only; what solvers and the user's code say goes beside.
        with contextlib.redirect_stdout(sys.stderr):
            content = getattr(commands, options.command)(options)
        output.write(content, options.out)
    except (InputError, OSError) as error:
        print(f"largebatch: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _verify_archive(options: argparse.Namespace) -> None:
    from largebatch.stages.packing import verify

    manifest = verify(options.archive, int(options.max_gb * 1e9), options.unpack)
    files, weights = manifest["files"], "with" if manifest["weights"] else "without"
    size = sum(entry["bytes"] for entry in files.values()) / 1e6
    print(f"{options.archive}: the study {manifest['study']} is intact, {weights} weights")
    print(f"{len(files)} files, {size:.3g} MB")
    if options.unpack is not None:
        print(f"unpacked below {options.unpack}")
