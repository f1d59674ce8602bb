"""A whole study, checked before anything runs: its config and the options of its data sets."""

import os
from pathlib import Path

from largebatch import paths
from largebatch.config import check_made, complete
from largebatch.data.checks import user_path
from largebatch.data.registry import check_options
from largebatch.errors import InputError
from largebatch.plain import check_plain


def check(config: dict, schema: dict) -> tuple[dict, dict[str, dict]]:
    """Return the config with its defaults, and the options of each data set with theirs.

    Args:
        config: as read from YAML.
        schema: JSON schema of studies, workflow/schemas/config.schema.yaml.

    Raises:
        InputError: all problems, a line each.
    """
    check_plain(config)
    problems, options = [], {}
    try:
        done = complete(config, schema)
    except InputError as error:
        problems.append(str(error))
    datasets = config.get("datasets") if isinstance(config, dict) else None
    for name, entry in datasets.items() if isinstance(datasets, dict) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
            continue  # the schema has said so
        try:
            given = {key: value for key, value in entry.items() if key != "source"}
            options[name] = check_options(entry["source"], given)
            check_made(name, entry["source"], options[name])
            if not Path(paths.data(name), "record.json").exists():
                _check_path(f"datasets.{name}.path", options[name].get("path"))
                _check_path("mirror", config.get("mirror"))
        except InputError as error:
            for text in str(error).splitlines():
                told = text.startswith(("datasets.", "mirror:"))
                problems.append(text if told else f"datasets.{name}: {text}")
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
    return done, options


def own_regime(arm: dict) -> dict:
    """Return in what a remedied arm departs from LB's batch size and the study's training."""
    size = {"batch_size": arm["batch_size"]} if "batch_size" in arm else {}
    return size | arm.get("training", {})


def _check_path(key: str, path) -> None:
    """Refuse a folder or file that is not there."""
    if isinstance(path, str) and path and not os.path.exists(user_path(key, path)):
        shown = path if path.isprintable() else repr(path)
        raise InputError(f"{key}: there is no {shown} (seen from {Path.cwd()})")
