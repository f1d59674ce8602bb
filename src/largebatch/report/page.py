"""Content in, HTML out; what the page looks like is in `template.html.j2`."""

import base64
import math
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

import largebatch

KEYS = (
    *("study", "title", "headline", "claims", "figures", "tables", "failures"),
    *("remedies", "settings_yaml", "provenance"),
)
ALL_NETWORKS = "all networks"
BADGES = {"yes": "✓", "no": "✗", "undecided": "?", "not measured": "–"}
# These exhibits stand in sections of their own; all others follow in the order given.
SKETCH, GLANCE, CONVERGENCE, PAPER = "figure1", "figure_gap", "convergence", "paper"
REMEDIES = (
    *("figure_remedies_shares", "figure_remedies", "figure_remedies_paths", "figure_rates"),
    *("figure_bias", "remedies", "tuning"),
)


def render(content: dict[str, Any]) -> str:
    """Return the report as one HTML page that loads nothing from elsewhere.

    Args:
        content: with the keys
            `study`, `title`: names of the study; `headline`: the verdict in a few plain sentences;
            `claims`: DataFrame of verdicts, a row a claim and network (columns claim, statement,
            network, verdict, effect, effect_name, unit, low, high, trials, paper, basis);
            `figures`: list of {"name", "title", "caption", "svg"};
            `tables`: list of {"name", "title", "caption", "frame"}, frames ready for display
            (titles by name are in `TITLES`);
            `failures`: DataFrame of runs that diverged or could not start (network, method, trial,
            message), maybe empty;
            `remedies`: what came of the remedied arms in a few plain sentences, empty without any;
            `settings_yaml`: the study's configuration as text;
            `provenance`: {section: list of (key, value)}.

    Raises:
        ValueError: a key is missing or a verdict is unknown.
    """
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise ValueError(f"content of the report lacks {', '.join(missing)}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    figures = {figure["name"]: _figure(figure) for figure in content["figures"]}
    tables = {table["name"]: _table(table) for table in content["tables"]}
    apart = REMEDIES if content["remedies"] else ()
    page = environment.get_template("template.html.j2").render(
        study=content["study"],
        title=content["title"],
        headline=_sentences(content["headline"]),
        claims=_claims(content["claims"]),
        badges=BADGES,
        sketch=figures.pop(SKETCH, None),
        glance=figures.pop(GLANCE, None),
        remedies=_sentences(content["remedies"]),
        remedy_figures=[figures.pop(name) for name in apart if name in figures],
        remedy_tables=[tables.pop(name) for name in apart if name in tables],
        figures=list(figures.values()),
        convergence=tables.pop(CONVERGENCE, None),
        paper=tables.pop(PAPER, None),
        tables=list(tables.values()),
        failures=content["failures"].to_dict("records"),
        settings_yaml=content["settings_yaml"],
        provenance=content["provenance"],
        version=largebatch.__version__,
    )
    return page.lstrip()


def cell(value: Any) -> str:
    """Return a value as text for a table: three significant digits, – for nothing."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(float(f"{value:.3g}"))  # rounded first: 0.9999 has the decimals of 1.00
    if size != 0 and (size < 1e-4 or size >= 1e6):
        return f"{value:.2e}".replace("-", "−")
    places = 2 if size == 0 else min(6, max(0, 2 - math.floor(math.log10(size))))
    return f"{value:,.{places}f}".replace("-", "−")


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n+", text.strip()) if part]


def _figure(figure: dict) -> dict:
    """Put the picture into a data URI: several inline SVGs would share ids and styles."""
    packed = base64.b64encode(figure["svg"].encode()).decode()
    return {**figure, "source": f"data:image/svg+xml;base64,{packed}"}


def _table(table: dict) -> dict:
    frame = table["frame"]
    rows = [[cell(value) for value in row] for row in frame.to_numpy(dtype=object).tolist()]
    numeric = [all(_is_number(row[k]) for row in rows) for k in range(frame.shape[1])]
    return {**table, "columns": [str(c) for c in frame.columns], "rows": rows, "numeric": numeric}


def _is_number(text: str) -> bool:
    """Return whether a cell has no words: a number, `1.2e-05`, `97.8 ± 0.1` or an interval."""
    return re.search("[A-Za-z]", re.sub(r"\de[-−+]?\d", "", text)) is None


def _claims(claims: pd.DataFrame) -> list[dict]:
    """Group the verdicts by claim: the overall one, and one row a network."""
    unknown = set(claims["verdict"]) - set(BADGES)
    if unknown:
        raise ValueError(f"verdict {sorted(unknown)[0]!r} is none of {', '.join(BADGES)}")
    groups = []
    for number, rows in claims.groupby("claim", sort=True):
        overall = rows[rows["network"] == ALL_NETWORKS]
        single = rows[rows["network"] != ALL_NETWORKS]
        lead = (overall if len(overall) else single).iloc[0]
        groups.append(
            {
                "number": number,
                "statement": lead["statement"],
                "verdict": lead["verdict"],
                "overall": overall.to_dict("records"),
                "rows": [row | _effect(row) for row in single.to_dict("records")],
            }
        )
    return groups


def _effect(row: dict) -> dict:
    """Return the effect, with its unit, and its interval as texts."""
    unit = row["unit"] if isinstance(row["unit"], str) else ""
    measured = pd.notna(row["effect"])
    value = f"{cell(row['effect'])} {unit}".strip() if measured else "–"
    has_interval = pd.notna(row["low"]) and pd.notna(row["high"])
    interval = f"{cell(row['low'])} to {cell(row['high'])}" if has_interval else ""
    return {"value": value, "interval": interval}
