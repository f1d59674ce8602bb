"""A whole study, checked before anything runs: its config and the options of its data sets."""

from largebatch.config import check_made, complete
from largebatch.data.registry import check_options
from largebatch.errors import InputError


def check(config: dict, schema: dict) -> tuple[dict, dict[str, dict]]:
    """Return the config with its defaults, and the options of each data set with theirs.

    Args:
        config: as read from YAML.
        schema: JSON schema of studies, workflow/schemas/config.schema.yaml.

    Raises:
        InputError: all problems, a line each.
    """
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
        except InputError as error:
            text = str(error)
            problems.append(text if text.startswith("datasets.") else f"datasets.{name}: {text}")
    if problems:
        raise InputError("\n".join(problems))
    return done, options
