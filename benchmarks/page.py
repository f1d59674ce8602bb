"""The page of the suite: a table, a plot, the machine, and every timing as CSV."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.suite import Row
from largebatch.storage import write_csv, write_text

TIMING = ["row", "implementation", "repeat", "seconds"]
MARKS = {True: "yes", False: "**no**", None: "–"}


def write(
    folder: str | Path,
    rows: Sequence[Row],
    machine: dict[str, str],
    failures: dict[str, str],
    quick: bool = False,
) -> None:
    """Write index.md, rows.csv, repeats.csv, ratios.svg and ratios.png into a folder.

    Args:
        rows: as they were measured, in their order.
        machine: name -> text, see `machine.describe`.
        failures: name of a row -> why it could not be measured.
        quick: whether sizes were tiny, so that the numbers say nothing.
    """
    folder = Path(folder)
    write_text(folder / "index.md", page(rows, machine, failures, quick))
    if not rows:
        return
    write_csv(folder / "rows.csv", pd.DataFrame([summary(row) for row in rows]))
    write_csv(folder / "repeats.csv", pd.DataFrame(_timings(rows), columns=TIMING))
    from benchmarks.plot import draw
    from largebatch.plots.style import save

    save(draw(rows), folder / "ratios.svg", folder / "ratios.png")


def summary(row: Row) -> dict:
    """Return a row as it stands in rows.csv: medians, quartiles, ratio and target."""
    low, high = quartiles(row.ratios)
    return {
        "row": row.name,
        "ours": row.ours,
        "other": row.other,
        "repeats": len(row.ours_seconds),
        "ours_seconds": _median(row.ours_seconds),
        "other_seconds": _median(row.other_seconds),
        "ratio": row.ratio,
        "ratio_low": low,
        "ratio_high": high,
        "unit": row.unit,
        "target": row.target,
        "target_is": "at least" if row.at_least else "at most",
        "met": row.met,
        "note": row.note,
    }


def quartiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the first and third quartile; of fewer than two values there are none."""
    if len(values) < 2:
        return None, None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def page(rows: Sequence[Row], machine: dict, failures: dict, quick: bool) -> str:
    """Return the page as Markdown."""
    lines = ["# Benchmarks", ""]
    if quick:
        lines += ["**Tiny sizes (`--quick`): the numbers say nothing.**", ""]
    lines += [
        "Each pair was timed in turn (A B A B) on the same work: medians over the repeats, and of",
        "the ratios of the repeats the median with its quartiles. `rows.csv` has the table,",
        "`repeats.csv` every timing.",
        "",
    ]
    if rows:
        lines += ["![Ratio over target, a line a row](ratios.svg)", ""]
        lines += ["| row | ours | against | ratio | quartiles | target | met |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_line(row) for row in rows]
        lines += ["", *[f"- {row.name}: {row.note}" for row in rows if row.note], ""]
    if failures:
        lines += ["## Not measured", ""]
        lines += [f"- {name}: {why}" for name, why in failures.items()] + [""]
    lines += ["## Machine", "", "| what | |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in machine.items()]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    low, high = quartiles(row.ratios)
    spread = "–" if low is None or row.given else f"{low:.3g} to {high:.3g}"
    cells = [
        *(row.name, _timed(row.ours, row.ours_seconds), _timed(row.other, row.other_seconds)),
        *(f"{row.ratio:.3g} {row.unit}", spread, target(row), MARKS[row.met]),
    ]
    return "| " + " | ".join(cells) + " |"


def target(row: Row) -> str:
    """Return the target as text: "≥ 2", "≤ 0.15", – where there is none."""
    return "–" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"


def _timed(label: str, seconds: Sequence[float]) -> str:
    return f"{label}: {time_text(_median(seconds))}" if seconds else label


def time_text(seconds: float) -> str:
    """Return a time with three digits: 12.3 s, 4.56 ms."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _timings(rows: Sequence[Row]) -> list[tuple]:
    """Return every timing of all rows, with the columns of TIMING."""
    return [
        (row.name, label, repeat, value)
        for row in rows
        for label, seconds in ((row.ours, row.ours_seconds), (row.other, row.other_seconds))
        for repeat, value in enumerate(seconds)
    ]
