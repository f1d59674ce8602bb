"""The tidy tables that analysis, figures and the report start from."""

import pandas as pd

from largebatch.errors import InputError


def read(inputs: dict, names=None) -> dict[str, pd.DataFrame]:
    """Return table name -> DataFrame for the inputs of those names (default: all).

    Text stays text: an empty message is "", not NaN.

    Raises:
        InputError: a table that cannot be read.
    """
    found = {}
    for name in inputs if names is None else names:
        try:
            table = pd.read_csv(inputs[name])
        except (OSError, ValueError) as error:
            raise InputError(f"{inputs[name]}: cannot be read as a table ({error})") from error
        for column in {"message", "stop_reason"} & set(table.columns):
            table[column] = table[column].astype(object).fillna("").astype(str)
        found[name] = table
    return found
