"""Tables as people read them: rounded, mean and spread in one cell, plain column titles."""

import re
from collections.abc import Callable

import pandas as pd

from largebatch.analysis import present_remedies
from largebatch.analysis.cells import EMPTY, interval, number, plus_minus

QUANTITIES = {
    "training_accuracy": "training accuracy, %",
    "testing_accuracy": "testing accuracy, %",
    "sharpness_full": "sharpness, full space, %",
    "sharpness_subspace": "sharpness, subspace, %",
}


def present(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `make_tables`, or the claims, as text with readable titles.

    Args:
        name: table1 ... table4, distances, appendix_c, convergence, failures, paper, claims,
            remedies or tuning.
        frame: the table. An unknown name only gets its numbers rounded.
    """
    if frame.empty:
        return pd.DataFrame()
    rows = [LAYOUTS.get(name, _plain)(row) for _, row in frame.iterrows()]
    return pd.DataFrame(rows)


def to_markdown(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table; numbers get three significant digits.

    Args:
        frame: text as `present` gives it, or raw numbers. One without rows gives `(none)`.
    """
    if frame.empty:
        return "(none)\n"
    rows = [[number(cell).replace("|", "\\|") for cell in row] for row in frame.to_numpy(object)]
    # Cells are not padded: a changed number changes its own line and no other.
    rule = ["--:" if _numeric(cells) else ":--" for cells in zip(*rows, strict=True)]
    lines = [[str(name) for name in frame.columns], rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _numeric(cells) -> bool:
    """Return whether the cells are numbers, `1.0 ± 0.1` and intervals: no word in them."""
    return all(re.search("[A-Za-z]", cell) is None for cell in cells)


def _count(value) -> str:
    return EMPTY if pd.isna(value) else number(value, 0)


def _plain(row) -> dict:
    return {name.replace("_", " "): number(value) for name, value in row.items()}


def _table1(row) -> dict:
    return {
        "network": row["network"],
        "type": row["type"],
        "architecture": row["architecture"],
        "data": row["dataset"],
        "input": row["input_shape"],
        "classes": _count(row["classes"]),
        "training samples": _count(row["train_samples"]),
        "testing samples": _count(row["test_samples"]),
        "parameters": _count(row["parameters"]),
        "batch norm": row["batchnorm"],
        "SB batch": _count(row["sb_batch_size"]),
        "LB batch": f"{_count(row['lb_batch_size'])} ({number(row['lb_percent'])}%)",
    }


def _trials(row) -> str:
    sb, lb = _count(row["sb_trials"]), _count(row["lb_trials"])
    return sb if sb == lb else f"{sb} SB, {lb} LB"


def _table2(row) -> dict:
    return {
        "network": row["network"],
        "quantity": QUANTITIES[row["quantity"]],
        "SB": plus_minus(row["sb_mean"], row["sb_std"], 2),
        "LB": plus_minus(row["lb_mean"], row["lb_std"], 2),
        "SB − LB [95%]": interval(row["gap"], row["gap_low"], row["gap_high"], 2),
        "trials": _trials(row),
    }


def _sharpness(row) -> dict:
    cells = {"network": row["network"], "ε": f"{row['epsilon']:g}"}
    subspace = "sb_draw_std" in row
    if subspace:
        cells["dimension"], cells["draws"] = _count(row["dimension"]), _count(row["draws"])
    for method in ("sb", "lb"):
        cells[method.upper()] = plus_minus(row[f"{method}_mean"], row[f"{method}_std"])
        if subspace:
            cells[f"{method.upper()} spread over draws"] = number(row[f"{method}_draw_std"])
    cells["LB / SB [95%]"] = interval(row["ratio"], row["ratio_low"], row["ratio_high"])
    for method in ("sb", "lb"):
        title = f"{method.upper()}, paper's solver"
        cells[title] = plus_minus(row[f"{method}_paper_mean"], row[f"{method}_paper_std"])
        stalled, measured = row[f"{method}_paper_stalled"], row[f"{method}_paper_measured"]
        if stalled:
            cells[title] += f" ({_count(stalled)} of {_count(measured)} stalled)"
    return cells | {"trials": _trials(row)}


def _distances(row) -> dict:
    span = f"{number(row['ratio_min'])} to {number(row['ratio_max'])}"
    return {
        "network": row["network"],
        "SB: ‖x_s − x0‖": plus_minus(row["sb_mean"], row["sb_std"]),
        "LB: ‖x_l − x0‖": plus_minus(row["lb_mean"], row["lb_std"]),
        "SB / LB, geometric mean [95%]": interval(
            row["ratio"], row["ratio_low"], row["ratio_high"]
        ),
        "SB / LB, mean ± std": plus_minus(row["ratio_mean"], row["ratio_std"]),
        "range": span if pd.notna(row["ratio_min"]) else EMPTY,
        "pairs": _count(row["pairs"]),
    }


def _appendix_c(row) -> dict:
    cells = {"network": row["network"]}
    cells["testing accuracy to reach, %"] = plus_minus(row["target_mean"], row["target_std"], 2)
    for method in ("sb", "lb"):
        name, low, high = method.upper(), row[f"{method}_epochs_min"], row[f"{method}_epochs_max"]
        cells[f"{name} batch"] = _count(row[f"{method}_batch_size"])
        cells[f"{name} iterations"] = _count(row[f"{method}_iterations"])
        span = _count(low) if low == high else f"{_count(low)}–{_count(high)}"
        cells[f"{name} epochs"] = EMPTY if pd.isna(low) else span
    ends = (row[name] for name in ("break_even", "break_even_low", "break_even_high"))
    return cells | {
        "I_l / I_s": number(row["iteration_ratio"]),
        "break-even efficiency f* [95%]": interval(*ends),
        "trials": _count(row["trials"]),
        "pairs": _count(row["pairs"]),
        "reading": row["reading"],
    }


def _convergence(row) -> dict:
    late = f"{100 * row['late_share_median']:.3f}% / {100 * row['late_share_max']:.3f}%"
    return {
        "network": row["network"],
        "method": row["method"].upper(),
        "trials": _count(row["trials"]),
        "epochs": _count(row["epochs"]),
        "final training loss, median / max": f"{row['final_loss_median']:.2e} / "
        f"{row['final_loss_max']:.2e}",
        "training accuracy, %, mean": number(row["final_train_accuracy_mean"], 2),
        "last 10% of epochs, share of the whole decrease, median / max": late,
        f"share under {100 * row['threshold']:g}%": number(bool(row["ceased"])),
        "decrease there, nats, median / max": f"{row['late_decrease_median']:.1e} / "
        f"{row['late_decrease_max']:.1e}",
        "decrease there relative to the loss, median": EMPTY
        if pd.isna(row["late_relative_median"])
        else f"{100 * row['late_relative_median']:.1f}%",
    }


def _paper(row) -> dict:
    places = 2 if row["table"] == 2 else None
    return {
        "network": row["network"],
        "paper's": row["paper_network"],
        "quantity": QUANTITIES[row["quantity"]],
        "ε": EMPTY if pd.isna(row["epsilon"]) else f"{row['epsilon']:g}",
        "method": row["method"].upper(),
        "ours": plus_minus(row["ours_mean"], row["ours_std"], places),
        "trials": _count(row["ours_trials"]),
        "paper, 5 trials": plus_minus(row["paper_mean"], row["paper_std"], 2),
        "difference": number(row["difference"], places),
        "in standard deviations": number(row["standardized_difference"], 1),
        "note": "" if pd.isna(row["note"]) else row["note"],
    }


def _claims(row) -> dict:
    effect = interval(row["effect"], row["low"], row["high"])
    unit = f" {row['unit']}" if row["unit"] and effect != EMPTY else ""
    named = f"{row['effect_name']}: {effect}{unit}" if effect != EMPTY else EMPTY
    return {
        "claim": _count(row["claim"]),
        "statement": row["statement"],
        "network": row["network"],
        "verdict": row["verdict"],
        "effect [95%]": named,
        "trials": _count(row["trials"]),
        "paper": row["paper"],
        "basis": row["basis"],
    }


LAYOUTS: dict[str, Callable] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _sharpness,
    "table4": _sharpness,
    "distances": _distances,
    "appendix_c": _appendix_c,
    "convergence": _convergence,
    "paper": _paper,
    "claims": _claims,
    "remedies": present_remedies.remedies,
    "tuning": present_remedies.tuning,
}
