"""The datasets by name; a module has `OPTIONS`, `check(options)`, `prepare(options, fetch)`.

A name with a colon is the user's own function, `module:function`: see `user.py`.
"""

from __future__ import annotations

import difflib
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.errors import InputError
from largebatch.usercode import is_user

if TYPE_CHECKING:
    from largebatch.data.arrays import Arrays

SOURCES = {
    "mnist1d": "largebatch.data.mnist1d",
    "mnist": "largebatch.data.mnist",
    "cifar10": "largebatch.data.cifar10",
    "cifar100": "largebatch.data.cifar100",
    "cifar10-jpeg": "largebatch.data.cifar10_jpeg",
    "digits": "largebatch.data.digits",
    "image-folder": "largebatch.data.image_folder",
    "spoken-digits": "largebatch.data.spoken_digits",
    "timit": "largebatch.data.timit",
}


def module_of(source: str) -> str:
    """Return the module below `largebatch` that prepares a source, such as "data.mnist".

    Raises:
        InputError: unknown source.
    """
    if is_user(source):
        return "data.user"
    return _lookup("data source", source, SOURCES).removeprefix("largebatch.")


def check_options(source: str, options: dict | None) -> dict:
    """Return all options of a dataset, defaults filled in (not those of a user's function).

    Needs no torch and no files.

    Args:
        source: a key of `SOURCES`, or `module:function`.
        options: the options given by the user; None means none.

    Raises:
        InputError: unknown source or options (the nearest right name is given), or bad values; all
            of them, a line each.
    """
    module = import_module(f"largebatch.{module_of(source)}")
    given = {} if options is None else options
    if not isinstance(given, dict):
        raise InputError(f"{source}: options must be a mapping, got {options!r}")
    if is_user(source):
        module.check(source, given)  # the user's module is not imported: a dry run stays light
        return dict(given)
    problems = []
    for key in given:
        try:
            _lookup(f"{source} option", key, module.OPTIONS)
        except InputError as error:
            problems.append(str(error))
    complete = {**module.OPTIONS, **{key: given[key] for key in given if key in module.OPTIONS}}
    problems += _all_problems(module, dict(complete))
    if problems:
        raise InputError("\n".join(problems))
    return complete


def _all_problems(module, options: dict) -> list[str]:
    """Return what `module.check` says, and what it says without the option that it named first."""
    problems = []
    while True:
        try:
            module.check(options)
            return problems
        except InputError as error:
            problems.append(str(error))
        named = problems[-1].partition(":")[0].rpartition(".")[2]  # of source.option: ...
        if named not in options or options[named] == module.OPTIONS[named]:
            return problems
        options[named] = module.OPTIONS[named]


def prepare(
    source: str,
    options: dict | None,
    *,
    mirror: str | Path | None = None,
    downloads: str | Path = "downloads",
) -> Arrays:
    """Generate a dataset, or find, download and convert it.

    Args:
        source: a key of `SOURCES`, or `module:function`.
        options: see the `OPTIONS` of the dataset's module; missing ones take their defaults.
        mirror: folder laid out as `{dataset}/{upstream file name}` that is looked in first.
        downloads: folder where downloaded files are kept, laid out likewise.

    Returns:
        `Arrays` with inputs as they are stored: uint8 (unscaled) or float32.

    Raises:
        InputError: unknown source or option, bad value, or a file that is missing or broken.
    """
    import torch

    from largebatch.data.arrays import Arrays
    from largebatch.data.download import fetch

    complete = check_options(source, options)
    module = import_module(f"largebatch.{module_of(source)}")
    if is_user(source):
        contents = module.prepare(source, complete)
    else:
        contents = module.prepare(complete, partial(fetch, mirror=mirror, downloads=downloads))
    about = {name: contents.pop(name) for name in ("classes", "class_names") if name in contents}
    tensors = {name: torch.from_numpy(array) for name, array in contents.items()}
    return Arrays(**tensors, **about, source=source, options=complete)


def _lookup(what: str, name: str, table: dict):
    """Return `table[name]`, or name the nearest right key."""
    if isinstance(name, str) and name in table:
        return table[name]
    near = difflib.get_close_matches(str(name).lower(), table, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"{what} {name!r} is unknown; {hint}known: {', '.join(table)}")
