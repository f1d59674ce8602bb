"""What a study of remedies found, in a few plain sentences."""

import pandas as pd

from largebatch import shares
from largebatch.analysis.arms import OWN
from largebatch.analysis.present_remedies import percent, share_of
from largebatch.analysis.remedies import CONFIRMED, NOT_CONFIRMED
from largebatch.analysis.verdicts import NO, NOT_MEASURED, UNDECIDED, YES

NAMED = 4  # arms that a sentence lists by name


def remedies_headline(table: pd.DataFrame) -> str:
    """Return which arms close how much of the gap in accuracy and sharpness, and how sure that is.

    Args:
        table: `remedies_table`, also as read back from csv. Without rows the text is empty.

    Returns:
        For each network a sentence on accuracy and one on sharpness, then one on Appendix E.
    """
    sentences = []
    for network, rows in table.groupby("network", sort=False):
        remedied = rows[~rows["arm"].isin(["sb", "lb"])]
        gap = rows.loc[rows["arm"] == "sb", "gain"]
        if len(remedied):
            sentences += [_accuracy(network, remedied, gap), _sharpness(network, remedied)]
    if sentences:
        sentences.append(_statement(table[~table["arm"].isin(["sb", "lb"])]))
        sentences.append(
            "All intervals are at 95% over paired trials, each on its own: of many some will miss."
        )
    return " ".join(sentences)


def _count(rows: pd.DataFrame, column: str, value: str) -> int:
    return int((rows[column] == value).sum())


def _accuracy(network: str, rows: pd.DataFrame, gap: pd.Series) -> str:
    size = f" (SB − LB: {gap.iloc[0]:.2f} points)" if gap.notna().any() else ""
    better = rows[rows["improves"] == YES].sort_values("gain", ascending=False)
    text = f"On {network}, {len(better)} of {len(rows)} remedied arms test better than LB{size}"
    if len(better):
        best = better.iloc[0]
        text += f", most of all {best['arm']} (+{best['gain']:.2f} points"
        text += f"; share of the gap closed: {share_of(best, 'accuracy')})"
    rest = {
        "worse": _count(rows, "improves", NO),
        "undecided": _count(rows, "improves", UNDECIDED),
        "not measured": _count(rows, "improves", NOT_MEASURED),
    }
    return text + _others(rest) + "."


def _others(counts: dict[str, int]) -> str:
    pieces = [f"{count} {name}" for name, count in counts.items() if count]
    return f"; {', '.join(pieces)}" if pieces else ""


def _sharpness(network: str, rows: pd.DataFrame) -> str:
    flat = rows[rows["stays_sharp"] == NO].sort_values("full_share", ascending=False)
    closed = [f"{row['arm']} {percent(row['full_share'])}" for _, row in flat.iterrows()]
    named = f" ({_listed(closed)})" if closed else ""
    text = (
        f"On {network}, {len(flat)} of {len(rows)} close more than half of the sharpness between "
        f"LB and SB in log scale{named}, {_count(rows, 'stays_sharp', YES)} less than half"
    )
    if (rows["full_share_kind"] == shares.NO_GAP).all():
        return f"On {network} LB is not sharper than SB, so there is no sharpness to close."
    rest = {name: _count(rows, "stays_sharp", name) for name in (UNDECIDED, NOT_MEASURED)}
    return text + _others(rest) + "."


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _statement(rows: pd.DataFrame) -> str:
    own = rows[rows["statement"] == OWN]
    text = (
        "The statement of Keskar et al. (Appendix E), accuracy improves and the minimizer stays "
        f"sharp, is {_verdicts(rows)} for all arms and networks"
    )
    if len(own):
        text += f"; for their own remedies it is {_verdicts(own)}"
    return text + "."


def _verdicts(rows: pd.DataFrame) -> str:
    order = (CONFIRMED, NOT_CONFIRMED, UNDECIDED, NOT_MEASURED)
    counts = [(name, _count(rows, "verdict", name)) for name in order]
    pieces = [f"{name} in {count}" for name, count in counts if count]
    return ", ".join(pieces) + f" of {len(rows)} cases"
