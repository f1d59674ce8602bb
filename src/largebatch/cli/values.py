"""Values of a command line: read from words and checked, before anything is loaded."""

import argparse
import json
import math
from pathlib import Path

from largebatch import usercode
from largebatch.architectures import FAMILY_OPTIONS
from largebatch.data.registry import check_options
from largebatch.errors import InputError


def count(word: str) -> int:
    """An integer of at least 1."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r}; it must be an integer of at least 1")
    return int(word)


def seed(word: str) -> int:
    """An integer of at least 0."""
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r}; it must be an integer of at least 0")
    return int(word)


def finite(word: str) -> float:
    """A finite number."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{word!r}; it must be a finite number")
    return number


def positive(word: str) -> float:
    """A finite number above 0."""
    number = finite(word)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{word!r}; it must be above 0")
    return number


def mapping(option: str, words: list[str]) -> dict:
    """Turn `key=value` words, or one JSON object, into a dict; values are JSON or else text."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            return json.loads(words[0])
        except (ValueError, RecursionError) as error:
            raise InputError(f"{option}: {words[0][:200]!r} is no JSON ({error})") from error
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f"{option}: {word!r}; it must be key=value, or one JSON object")
        if key in found:
            raise InputError(f"{option}: {key} is given twice")
        try:
            found[key] = json.loads(text)
        except (ValueError, RecursionError):  # no JSON, or an integer of thousands of digits
            found[key] = text
    return found


def check(options: argparse.Namespace) -> None:
    """Complete `options` in place: option words become dicts, `weights` lists the files.

    Raises:
        InputError: values that contradict each other, absent files, unknown names.
    """
    names = ("weights", "weights_a", "weights_b")
    options.weights = [vars(options)[name] for name in names if name in options]
    for path in options.weights:
        _check_file("WEIGHTS", path)
    if options.out is not None:
        _check_out(Path(options.out))
    if options.command == "sharpness":
        _check_search(options)
    if options.command == "interpolate":
        if options.points < 2:
            raise InputError(f"--points: {options.points}; a path has at least 2")
        if options.start >= options.stop:
            raise InputError(f"--to: {options.stop}; it must be above --from, {options.start}")
    if options.batchnorm == "batch" and options.evaluation_batch_size < 2:
        size = options.evaluation_batch_size
        raise InputError(f"--evaluation-batch-size: {size}; batch statistics need at least 2")
    options.network_options = mapping("--network-options", options.network_options)
    options.data_options = mapping("--data-options", options.data_options)
    _check_network(options.network, options.network_options)
    _check_data(options)


def _check_search(options: argparse.Namespace) -> None:
    for name, given in (("--epsilon", options.epsilon), ("--solver", options.solver)):
        if len(set(given)) < len(given):
            raise InputError(f"{name}: {' '.join(map(str, given))}; give each of them once")
    if options.draws is not None and options.subspace is None:
        raise InputError(f"--draws: {options.draws}; the full space is one, give --subspace too")
    options.draws = options.draws or 1


def _check_network(family: str, given: dict) -> None:
    if usercode.is_user(family):
        usercode.check_name("network", family)
        return
    if family not in FAMILY_OPTIONS:
        known = ", ".join(FAMILY_OPTIONS)
        raise InputError(f"--network: unknown {family!r}; one of {known}; or module:function")
    for key in given:
        if key not in FAMILY_OPTIONS[family]:
            known = ", ".join(FAMILY_OPTIONS[family])
            raise InputError(f"--network-options: {family} has no {key!r}, only {known}")


def _check_data(options: argparse.Namespace) -> None:
    if not options.data.endswith(".safetensors"):
        options.data_options = check_options(options.data, options.data_options)
        return
    _check_file("--data", options.data)
    if options.data_options:
        raise InputError(f"--data-options: {options.data} is converted already and takes none")


def _check_file(name: str, path: str) -> None:
    if not Path(path).is_file():
        raise InputError(f"{name}: there is no file {path}")


def _check_out(path: Path) -> None:
    if path.suffix not in (".json", ".csv"):
        raise InputError(f"--out: {path}; its name must end in .json or .csv")
    if path.is_dir():
        raise InputError(f"--out: {path} is a folder; it must be a file")
