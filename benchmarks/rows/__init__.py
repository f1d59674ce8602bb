"""The rows of the suite: every module here with a `ROWS`, a mapping of names to functions."""

import importlib
import pkgutil
from collections.abc import Callable


def found() -> dict[str, Callable]:
    """Return all rows by name, in the order of their modules' `ORDER` (default 50) and names.

    Raises:
        ValueError: two modules use the same name.
    """
    modules = [
        importlib.import_module(f"{__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(__path__)
    ]
    modules = [module for module in modules if hasattr(module, "ROWS")]
    rows = {}
    for module in sorted(modules, key=lambda m: (getattr(m, "ORDER", 50), m.__name__)):
        for name, measure in module.ROWS.items():
            if name in rows:
                raise ValueError(f"{module.__name__}: a row {name!r} is there already")
            rows[name] = measure
    return rows
