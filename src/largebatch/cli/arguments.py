"""The commands, their options and help. Nothing here loads torch."""

import argparse
import textwrap

from largebatch import __version__
from largebatch.cli import values
from largebatch.config import FAMILY_OPTIONS
from largebatch.data.registry import SOURCES
from largebatch.errors import InputError
from largebatch.runtime import DEVICES

HELP = {
    "evaluate": "loss and accuracy on the training and the testing set",
    "sharpness": "Metric 2.1 of Keskar et al. (2017): by how many percent of 1 + f the loss can rise",
    "interpolate": "loss and accuracy along the line or the curve between two solutions",
}
ABOUT = {
    "evaluate": "Mean cross entropy and accuracy (percent) of one network on both parts of the data.",
    "sharpness": """\
        phi = 100 (max f(x + A y) - f(x)) / (1 + f(x)) over |y_i| <= epsilon (|(A+ x)_i| + 1), in
        percent; f is the mean cross entropy over the training set, x the trainable weights, A the
        identity or a random n x P matrix. Any search gives a lower bound: `best` is a set of ascent
        methods, `paper` 10 iterations of L-BFGS-B, marked `stalled` where it is under half of the
        largest value found. Running statistics of batch normalization stay those of the file all
        over the box, unless --batchnorm batch is given.""",
    "interpolate": """\
        At alpha = 0 the weights are WEIGHTS_A, at 1 WEIGHTS_B; linear: alpha B + (1 - alpha) A;
        curvilinear: sin(alpha pi/2) B + cos(alpha pi/2) A. Only trainable weights are mixed. Running
        statistics of batch normalization that differ between the two are computed anew from the
        training set at every point (--batchnorm recompute).""",
}
EXAMPLE = {
    "evaluate": "largebatch evaluate final.safetensors --network fully_connected --data mnist1d",
    "sharpness": """\
        largebatch sharpness final.safetensors --network mine:network --network-options width=64 \\
            --data mnist1d --epsilon 0.001 0.0005 --max-evaluations 100 --out sharpness.json""",
    "interpolate": """\
        largebatch interpolate sb.safetensors lb.safetensors --network fully_connected \\
            --network-options width=256 depth=5 --data mnist1d --out curve.csv""",
}


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
    for name, add in (
        ("evaluate", _evaluate),
        ("sharpness", _sharpness),
        ("interpolate", _interpolate),
    ):
        command = commands.add_parser(
            name,
            help=HELP[name],
            description=textwrap.dedent(ABOUT[name]),
            epilog=f"example:\n{textwrap.indent(textwrap.dedent(EXAMPLE[name]), '  ')}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add(command)
        _problem(command, ("as_is", "batch") if name == "sharpness" else values.BATCHNORM)
    options = parser.parse_args(words)
    values.check(options)
    return options


def _evaluate(parser: Parser) -> None:
    _weights(parser, "WEIGHTS")


def _sharpness(parser: Parser) -> None:
    _weights(parser, "WEIGHTS")
    add = parser.add_argument_group("search").add_argument
    add(
        *("--epsilon", "-e"),
        **{"nargs": "+", "type": values.positive, "default": [0.001], "metavar": "E"},
        help="sizes of the box, above 0 (default 0.001)",
    )
    add(
        "--subspace",
        **{"type": values.count, "metavar": "P"},
        help="search in a random subspace of this dimension, 1..n (default: the full space)",
    )
    add(
        "--draws",
        **{"type": values.count, "metavar": "K"},
        help="random subspaces, with --subspace (default 1)",
    )
    add(
        "--solver",
        **{"nargs": "+", "choices": ("best", "paper"), "default": ["best", "paper"]},
        help="which searches (default: both)",
    )
    add(
        "--max-evaluations",
        **{"type": values.count, "default": 50, "metavar": "N"},
        help="budget of `best`: passes over the training set, each with its gradient (default 50)",
    )
    add(
        "--seed",
        **{"type": values.seed, "default": 0, "metavar": "S"},
        help="of subspaces and random restarts, at least 0 (default 0); the same seed gives the "
        "same subspaces for all weights of a network",
    )


def _interpolate(parser: Parser) -> None:
    _weights(parser, "WEIGHTS_A", "WEIGHTS_B")
    add = parser.add_argument_group("path").add_argument
    add(
        "--path",
        **{"choices": ("linear", "curvilinear"), "default": "linear"},
        help="default linear",
    )
    add(
        "--points",
        **{"type": values.count, "default": 25, "metavar": "N"},
        help="points, ends included, at least 2 (default 25)",
    )
    add(
        "--from",
        **{"type": values.finite, "default": -1.0, "metavar": "ALPHA", "dest": "start"},
        help="first alpha (default -1)",
    )
    add(
        "--to",
        **{"type": values.finite, "default": 2.0, "metavar": "ALPHA", "dest": "stop"},
        help="last alpha, above the first (default 2)",
    )


def _weights(parser: Parser, *names: str) -> None:
    for name in names:
        parser.add_argument(
            name.lower(), metavar=name, help="a state dict of the network, as safetensors"
        )


def _problem(parser: Parser, batchnorm: tuple[str, ...]) -> None:
    """What defines f, and where the result goes: the same for all commands."""
    add = parser.add_argument_group("network and data").add_argument
    add(
        "--network",
        **{"required": True, "metavar": "NAME"},
        help=f"{', '.join(FAMILY_OPTIONS)}, or your own as module:function; the function is called "
        "with input_shape, classes and the options and returns a torch.nn.Module",
    )
    add(
        "--network-options",
        **{"nargs": "+", "default": [], "metavar": "KEY=VALUE"},
        help="such as width=256 depth=5 batchnorm=running, or one JSON object",
    )
    add(
        "--data",
        **{"required": True, "metavar": "NAME"},
        help=f"{', '.join(SOURCES)}, your own as module:function, or a converted data set, "
        "FOLDER/arrays.safetensors; LARGEBATCH_MIRROR names a folder of upstream files",
    )
    add(
        "--data-options",
        **{"nargs": "+", "default": [], "metavar": "KEY=VALUE"},
        help="options of the data set, likewise",
    )
    add(
        "--evaluation-batch-size",
        **{"type": values.count, "default": 5000, "metavar": "N"},
        help="samples a batch (default 5000); under batch statistics a part of f's definition",
    )
    add(
        "--batchnorm",
        choices=batchnorm,
        help="as_is: as the network does in eval mode; batch: statistics of each evaluation batch"
        + ("; recompute: running statistics, from the training set" if len(batchnorm) > 2 else "")
        + " (default: as_is, between two points with different running statistics recompute)"
        * (parser.prog.endswith("interpolate"))
        + " (default: as_is)" * (not parser.prog.endswith("interpolate")),
    )
    add = parser.add_argument_group("machine and output").add_argument
    add("--device", choices=DEVICES, default="auto", help="auto takes a GPU if there is one")
    add(
        "--threads",
        **{"type": values.count, "default": 1, "metavar": "N"},
        help="CPU threads (default 1); the last digits depend on it",
    )
    add(
        "--out",
        metavar="FILE",
        help="a .json file, with all settings, or a .csv table (default: JSON to standard output)",
    )
