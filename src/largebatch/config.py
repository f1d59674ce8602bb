"""A study's config: checked against the schema and completed with defaults."""

import copy
import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path

from jsonschema import Draft202012Validator

from largebatch import paths
from largebatch.contradictions import contradictions, show
from largebatch.errors import InputError
from largebatch.plain import check_plain
from largebatch.plan import with_grids
from largebatch.storage import read_json


def complete(config: dict, schema: dict) -> dict:
    """Return a copy of `config` with all defaults filled in.

    Args:
        config: as read from YAML.
        schema: JSON schema (draft 2020-12) with `default` and `description` for its properties.

    Raises:
        InputError: one line for each problem: the key, the value, and what would be right.
    """
    check_plain(config)
    problems = list(_odd_numbers(config))
    problems += [
        line
        for error in Draft202012Validator(schema).iter_errors(config)
        for line in _explain(error, schema)
    ]
    done = copy.deepcopy(config)
    if problems:  # what is left without the wrong values may have problems of its own: all at once
        done = _without(done, Draft202012Validator(schema).iter_errors(config))
    if done is not None:
        done = _with_defaults(_whole(done, schema), schema)
        problems += contradictions(done)
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
    return with_grids(done)


def _without(config, errors) -> dict | None:
    """Return `config` less every value that the schema refuses; None if too little is left."""
    for error in errors:
        path, wrong = list(error.absolute_path), []
        if error.validator == "additionalProperties":
            wrong = set(error.instance) - set(error.schema["properties"])
        elif "propertyNames" in error.absolute_schema_path:
            wrong = [error.instance]
        elif error.validator != "required" and path:
            wrong = [path.pop()]
        place = config
        while path and isinstance(place.get(path[0]), dict):
            place = place[path.pop(0)]
        for key in path[:1] or wrong:  # a wrong item of a list takes the list along
            place.pop(key, None)
    named = isinstance(config, dict) and all(
        isinstance(config.get(key), dict) for key in ("datasets", "networks")
    )
    return config if named and all(map(_is_mapping, config["networks"].values())) else None


def _is_mapping(value) -> bool:
    return isinstance(value, dict)


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
        right = {"source": str, "options": dict}
        if not isinstance(made, dict) or any(
            not isinstance(made.get(key), kind) for key, kind in right.items()
        ):
            raise InputError(
                f"datasets.{dataset}: {record} has no source and options; delete {record.parent}"
            )
        if (made["source"], made["options"]) != (source, options):
            mine = {"source": source} | options
            there = {"source": made["source"]} | made["options"]
            keys = [key for key in mine | there if mine.get(key) != there.get(key)]
            wanted, found = (
                ", ".join(f"{key}: {show(side.get(key))}" for key in keys) for side in (mine, there)
            )
            raise InputError(
                f"datasets.{dataset}: {wanted}; {record.parent} already holds {found}; give it "
                "another name or delete that folder"
            )


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
        name = show(error.instance)
        yield f'{place}: the name {name} may have letters, digits, ".", "_" and "-" only'
    else:
        line = f"{place or 'config'}: {show(error.instance)}; it must be {_wanted(error, schema)}"
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
    return f"{_join(place, key)}: {show(value)}; there is no such key; {hint}"


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _odd_numbers(value, place: str = "") -> Iterator[str]:
    """Numbers that JSON schemas let through and that mean nothing here."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _odd_numbers(inner, _join(place, str(key)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: {value}; it must be a finite number"
