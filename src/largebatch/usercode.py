"""Functions of the user's own, named `module:function` in a study or on the command line."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from largebatch.errors import InputError


def is_user(name: str) -> bool:
    """Whether a name is that of a function of the user's own; no name of ours has a colon."""
    return isinstance(name, str) and ":" in name


def files_of(name: str) -> list[str]:
    """Return the file behind `module:function`, if it lies below the working directory."""
    if not is_user(name):
        return []
    file = name.split(":")[0].replace(".", "/")
    return [path for path in (f"{file}.py", f"{file}/__init__.py") if os.path.exists(path)][:1]


def check_name(what: str, name: str) -> None:
    """Raise InputError unless `name` is spelled `module:function`. Imports nothing.

    Args:
        what: what the function is for, such as "network"; messages begin with it.
        name: `module:function`; the module may have dots.
    """
    module, _, function = name.partition(":")
    if module.endswith(".py") or "/" in module:
        right = module.removesuffix(".py").strip("./").replace("/", ".")
        raise InputError(f"{what} {name}: a file is named as a module; write {right}:{function}")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(
            f"{what} {name}: a function of your own is spelled module:function, such as "
            "mine:network for the function `network` in mine.py"
        )


def find(what: str, name: str) -> Callable:
    """Import the user's module, from the working directory or installed, and return the function.

    Args:
        what, name: see `check_name`.

    Raises:
        InputError: no such module or function, a module that fails, or something not callable.
    """
    check_name(what, name)
    module_name, _, function = name.partition(":")
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)  # where `python -m` has it: both command lines find the same
    importlib.invalidate_caches()  # the file may be new
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(
                f"{what} {name}: there is no module {error.name!r} in {folder} "
                "nor among the installed packages"
            ) from error
        raise InputError(f"{what} {name}: importing the module fails: {told(error)}") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} {name}: importing the module fails: {told(error)}") from error
    found = getattr(module, function, None)
    if found is None:
        raise InputError(f"{what} {name}: {module.__file__} has no {function!r}")
    if not callable(found):
        kind = type(found).__name__
        raise InputError(f"{what} {name}: {function!r} is of type {kind}; it must be a function")
    return found


def call(what: str, name: str, keywords: dict) -> Any:
    """Return what the user's function returns.

    Args:
        what, name: see `check_name`.
        keywords: what it is called with.

    Raises:
        InputError: see `find`; keywords that it does not take or lacks; an exception inside it.
    """
    function = find(what, name)
    try:
        inspect.signature(function).bind(**keywords)
    except TypeError as error:
        given = ", ".join(keywords)
        raise InputError(
            f"{what} {name}: {error}; it is called with {given}, and takes "
            f"{inspect.signature(function)}"
        ) from error
    except ValueError:  # written in C, without a signature: the call itself will tell
        pass
    try:
        return function(**keywords)
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} {name}: the function fails: {told(error)}") from error


def told(error: BaseException) -> str:
    """Return an error's type, message and place in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}".split()) + place
