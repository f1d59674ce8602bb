"""A study's config: checked against the schema and completed with defaults."""

import copy
import difflib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from jsonschema import Draft202012Validator

from largebatch import paths
from largebatch.errors import InputError
from largebatch.plan import chosen
from largebatch.storage import read_json

FAMILY_OPTIONS = {
    "fully_connected": ("width", "depth", "batchnorm"),
    "shallow_convolutional": ("width", "depth", "dense", "dropout", "batchnorm"),
    "vgg": ("width", "dense", "dropout", "batchnorm"),
}


def complete(config: dict, schema: dict) -> dict:
    """Return a copy of `config` with all defaults filled in.

    Args:
        config: as read from YAML.
        schema: JSON schema (draft 2020-12) with `default` and `description` for its properties.

    Raises:
        InputError: one line for each problem: the key, the value, and what would be right.
    """
    problems = list(_odd_numbers(config))
    problems += [
        line
        for error in Draft202012Validator(schema).iter_errors(config)
        for line in _explain(error, schema)
    ]
    if not problems:
        config = _with_defaults(_whole(copy.deepcopy(config), schema), schema)
        problems = list(_contradictions(config))
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
    return config


def check_made(dataset: str, source: str, options: dict) -> None:
    """Refuse a data set whose name stands for another one that is already converted.

    Converted data are shared by all studies: one study must not change those of another.

    Args:
        dataset: its name in the study.
        source, options: what the study asks for, defaults filled in.

    Raises:
        InputError: the folder's record differs.
    """
    record = Path(paths.data(dataset)) / "record.json"
    if record.exists():
        made = read_json(record)
        if (made["source"], made["options"]) != (source, options):
            raise InputError(
                f"datasets.{dataset}: {_show(options)} of {source}; {record.parent} already holds "
                f"{_show(made['options'])} of {made['source']}; give it another name or delete "
                "that folder"
            )


def architecture(network: dict) -> dict:
    """Return the part of a network's entry that defines the network: {family, options}."""
    names = FAMILY_OPTIONS[network["family"]]
    return {
        "family": network["family"],
        "options": {name: network[name] for name in names if name in network},
    }


def _whole(value, schema: dict):
    """Turn 5.0 into 5 where an integer is asked for: to JSON schemas they are the same."""
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {key: _whole(inner, known.get(key, others) or {}) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner, schema.get("items", {})) for inner in value]
    types = schema.get("type", [])
    if isinstance(value, float) and "integer" in ([types] if isinstance(types, str) else types):
        return int(value)
    return value


def _with_defaults(value, schema: dict):
    """Fill in defaults, in the schema's order after the keys that are there."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, part in known.items():
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
        others = schema.get("additionalProperties")
        for key in value:
            part = known.get(key, others)
            if isinstance(part, dict):
                value[key] = _with_defaults(value[key], part)
    return value


def _explain(error, schema: dict) -> Iterator[str]:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        for key in sorted(set(error.instance) - set(error.schema["properties"]), key=str):
            yield _unknown_key(
                place, str(key), error.instance[key], list(error.schema["properties"])
            )
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        for key in missing:
            what = error.schema["properties"][key].get("description", "a value")
            yield f"{_join(place, key)}: missing; it must be {what}"
    elif error.validator == "pattern" and "description" not in error.schema:
        name = _show(error.instance)
        yield f'{place}: the name {name} may have letters, digits, ".", "_" and "-" only'
    else:
        line = f"{place or 'config'}: {_show(error.instance)}; it must be {_wanted(error, schema)}"
        if isinstance(error.instance, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", error.instance):
            line += " (YAML reads 1e-3 as text: write 0.001)"
        yield line


def _wanted(error, schema: dict) -> str:
    """What the schema says would be right, of the value or of the list it is in."""
    found = error.message
    for part in error.absolute_schema_path:
        schema = schema[part]
        if isinstance(schema, dict) and isinstance(schema.get("description"), str):
            found = schema["description"]
    return found


def _unknown_key(place: str, key: str, value, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1, cutoff=0.5)
    hint = f"did you mean {_join(place, near[0])}?" if near else f"known: {', '.join(known)}"
    return f"{_join(place, key)}: {_show(value)}; there is no such key; {hint}"


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _show(value) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _contradictions(config: dict) -> Iterator[str]:
    """What no schema can say: keys that must agree with each other."""
    yield from _networks(config)
    for method in ("sb", "lb"):
        size = config["methods"][method]["batch_size"]
        if isinstance(size, float) and size > 1:
            yield (
                f"methods.{method}.batch_size: {size}; a fraction lies in (0, 1], a count is whole"
            )
        elif size == 1 and isinstance(size, int):
            yield f"methods.{method}.batch_size: 1; batch normalization needs at least 2 samples"
    sizes = {method: config["methods"][method]["batch_size"] for method in ("sb", "lb")}
    if type(sizes["sb"]) is type(sizes["lb"]) and sizes["sb"] >= sizes["lb"]:
        yield f"methods.sb.batch_size: {sizes['sb']}; it must be below lb's, {sizes['lb']}"
    for size in config["batch_sweep"]["batch_sizes"]:
        if size == 1:
            yield "batch_sweep.batch_sizes: 1; batch normalization needs at least 2 samples"
        if size in sizes.values():
            yield f"batch_sweep.batch_sizes: {size}; it is there already, as sb or lb: leave it out"
    for section in ("batch_sweep", "warm_start", "trajectory"):
        for network in chosen(config, section):
            if network not in config["networks"]:
                yield _unknown_name(f"{section}.networks", network, config["networks"])
        if config[section]["trials"] > config["trials"]:
            trials = config[section]["trials"]
            yield f"{section}.trials: {trials}; the study has only {config['trials']} trials"
    for section in ("warm_start", "trajectory"):
        for epoch in config[section]["epochs"]:
            if epoch > config["training"]["epochs"]:
                last = config["training"]["epochs"]
                yield f"{section}.epochs: {epoch}; the runs have only {last} epochs"
    if config["training"]["momentum"] and config["training"]["optimizer"] != "sgd":
        momentum = config["training"]["momentum"]
        yield f"training.momentum: {momentum}; only sgd has it; leave it out or set optimizer: sgd"


def _odd_numbers(value, place: str = "") -> Iterator[str]:
    """Numbers that JSON schemas let through and that mean nothing here."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _odd_numbers(inner, _join(place, str(key)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: {value}; it must be a finite number"


def _networks(config: dict) -> Iterator[str]:
    options = {name for names in FAMILY_OPTIONS.values() for name in names}
    for name, network in config["networks"].items():
        if network["dataset"] not in config["datasets"]:
            yield _unknown_name(f"networks.{name}.dataset", network["dataset"], config["datasets"])
        allowed = FAMILY_OPTIONS[network["family"]]
        for key in options & set(network) - set(allowed):
            yield (
                f"networks.{name}.{key}: {_show(network[key])}; family {network['family']} has no "
                f"such option, only {', '.join(allowed)}"
            )
        rates = network.get("dropout")
        if (
            network["family"] == "vgg"
            and rates is not None
            and (not isinstance(rates, list) or len(rates) != 3)
        ):
            yield f"networks.{name}.dropout: {_show(rates)}; vgg takes a list of three rates"
        if network["family"] == "shallow_convolutional" and isinstance(rates, list):
            yield f"networks.{name}.dropout: {_show(rates)}; it must be one rate in [0, 1)"


def _unknown_name(place: str, value: str, known) -> str:
    near = difflib.get_close_matches(value, known, 1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{place}: {_show(value)}; there is no such entry; {hint}"
