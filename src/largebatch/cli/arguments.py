"""The commands and their options. Nothing here loads torch."""

import argparse

from largebatch import __version__
from largebatch.architectures import FAMILY_OPTIONS
from largebatch.cli import texts, values
from largebatch.data.registry import SOURCES
from largebatch.errors import InputError
from largebatch.runtime import DEVICES


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are one line, as all of the project's are."""

    def error(self, message: str):
        raise InputError(f"{message} (see {self.prog} --help)")


def parse(words: list[str]) -> argparse.Namespace:
    """Return the checked options of a command line.

    Raises:
        InputError: whatever can be seen to be wrong without data and without torch.
    """
    parser = Parser(prog="largebatch", description="Measure weights that exist already.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, parts in (
        ("evaluate", (_evaluate, _machine)),
        ("sharpness", (_sharpness, _machine)),
        ("interpolate", (_interpolate, _machine)),
        ("verify-archive", (_verify_archive,)),
    ):
        command = commands.add_parser(
            name,
            help=texts.HELP[name],
            description=texts.ABOUT[name],
            epilog=f"example:\n{texts.EXAMPLE[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for add in parts:
            add(command)
    options = parser.parse_args(words)
    if options.command != "verify-archive":
        values.check(options)
    return options


def _evaluate(parser: Parser) -> None:
    _problem(parser, ["WEIGHTS"], ["as_is", "batch", "recompute"], "as_is")


def _sharpness(parser: Parser) -> None:
    _problem(parser, ["WEIGHTS"], ["as_is", "batch"], "as_is")
    add = parser.add_argument_group("search").add_argument
    add(
        "--epsilon",
        nargs="+",
        type=values.positive,
        default=[0.001],
        metavar="E",
        help="sizes of the box, above 0 (default 0.001)",
    )
    add(
        "--subspace",
        type=values.count,
        metavar="P",
        help="search in a random subspace of this dimension, 1..n (default: the full space)",
    )
    add(
        "--draws",
        type=values.count,
        metavar="K",
        help="random subspaces, with --subspace (default 1)",
    )
    add(
        "--solver",
        nargs="+",
        choices=["best", "paper"],
        default=["best", "paper"],
        help="searches (default: both)",
    )
    add(
        "--max-evaluations",
        type=values.count,
        default=50,
        metavar="N",
        help="budget of `best`: passes over the training set, each with its gradient (default 50)",
    )
    add(
        "--seed",
        type=values.seed,
        default=0,
        metavar="S",
        help="of random subspaces and restarts, at least 0 (default 0): the same seed and n give "
        "the same subspaces for any weights",
    )


def _interpolate(parser: Parser) -> None:
    default = "recompute where the two have different running statistics, else as_is"
    _problem(parser, ["WEIGHTS_A", "WEIGHTS_B"], ["as_is", "batch", "recompute"], default)
    add = parser.add_argument_group("path").add_argument
    add("--path", choices=["linear", "curvilinear"], default="linear", help="(default linear)")
    add(
        "--points",
        type=values.count,
        default=25,
        metavar="N",
        help="evenly spaced, ends included, at least 2 (default 25)",
    )
    add(
        "--from",
        dest="start",
        type=values.finite,
        default=-1.0,
        metavar="ALPHA",
        help="first alpha (default -1)",
    )
    add(
        "--to",
        dest="stop",
        type=values.finite,
        default=2.0,
        metavar="ALPHA",
        help="last alpha, above the first (default 2)",
    )


def _verify_archive(parser: Parser) -> None:
    add = parser.add_argument
    add("archive", metavar="ARCHIVE", help="the file that `snakemake archive` made")
    add(
        "--unpack",
        metavar="FOLDER",
        help="then unpack it there: the top of a copy of the project (default: only verify)",
    )
    add(
        "--max-gb",
        type=values.positive,
        default=20.0,
        metavar="GB",
        help="refuse an archive that unpacks to more (default 20)",
    )


def _problem(parser: Parser, weights: list[str], batchnorm: list[str], default: str) -> None:
    """What defines f."""
    for name in weights:
        parser.add_argument(
            name.lower(), metavar=name, help="a state dict of the network, as safetensors"
        )
    add = parser.add_argument_group("network and data").add_argument
    add(
        "--network",
        required=True,
        metavar="NAME",
        help=f"{', '.join(FAMILY_OPTIONS)}, {texts.NETWORK}",
    )
    add(
        "--network-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help=texts.NETWORK_OPTIONS,
    )
    add("--data", required=True, metavar="NAME", help=f"{', '.join(SOURCES)}, {texts.DATA}")
    add(
        "--data-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="options of the data set, likewise",
    )
    add(
        "--evaluation-batch-size",
        type=values.count,
        default=5000,
        metavar="N",
        help="samples a batch (default 5000); under batch statistics a part of f's definition",
    )
    add(
        "--batchnorm",
        choices=batchnorm,
        help=f"{'; '.join(texts.BATCHNORM[mode] for mode in batchnorm)} (default: {default})",
    )


def _machine(parser: Parser) -> None:
    add = parser.add_argument_group("machine and output").add_argument
    add(
        "--device",
        choices=DEVICES,
        default="auto",
        help="(default auto: a GPU if there is one)",
    )
    add(
        "--threads",
        type=values.count,
        default=1,
        metavar="N",
        help="CPU threads (default 1); the last digits of the numbers depend on it",
    )
    add(
        "--out",
        metavar="FILE",
        help="a .json file, with all settings, or a .csv table of the results only "
        "(default: JSON to standard output)",
    )
