"""The verdict on the paper's ten claims: for each network, for all of them, and in a few sentences.

What `yes`, `no` and `undecided` mean is defined once, in `verdicts`; the quantity of each claim in
the docstring of its function in `claims_pairs` and `claims_sweeps`.
"""

import math
from collections.abc import Callable

import pandas as pd

from largebatch.analysis import claims_pairs, claims_sweeps, selection
from largebatch.analysis.paper_claims import paper_text
from largebatch.analysis.paper_numbers import on_the_same_data
from largebatch.analysis.verdicts import NO, NOT_MEASURED, UNDECIDED, YES, Finding, combine

ALL = "all networks"
COLUMNS = [
    *("claim", "statement", "network", "verdict", "effect", "effect_name", "unit", "low", "high"),
    *("trials", "paper", "basis"),
]
CLAIMS: dict[int, tuple[str, Callable[[dict, dict, str], Finding]]] = {
    1: (
        "Both methods reach a training accuracy of at least 98%, within 2 points of each other.",
        claims_pairs.training_accuracy,
    ),
    2: ("LB runs test worse than SB runs.", claims_pairs.testing_accuracy),
    3: ("LB minimizers are sharper than SB minimizers.", claims_pairs.full_sharpness),
    4: ("They are sharper in random subspaces, too.", claims_pairs.subspace_sharpness),
    5: (
        "On the line between the two minimizers the training loss rises faster around LB.",
        claims_pairs.line_rise,
    ),
    6: (
        "The gap is no over-fitting: testing accuracy does not peak and then lose over 1 point.",
        claims_pairs.no_overfitting,
    ),
    7: (
        "Beyond some batch size testing accuracy drops and sharpness rises.",
        claims_sweeps.batch_size,
    ),
    8: (
        "Warm-started LB runs reach the accuracy and flatness of SB after enough SB epochs, not "
        "before.",
        claims_sweeps.warm_start,
    ),
    9: ("SB iterates travel farther from the start than LB iterates.", claims_pairs.distance),
    10: (
        "As the loss falls, sharpness rises along LB runs and stays or falls along SB runs.",
        claims_sweeps.trajectory,
    ),
}


def judge(frames: dict[str, pd.DataFrame], settings: dict) -> pd.DataFrame:
    """Return the verdict on every claim for every network and for all networks together.

    Args:
        frames: the tidy tables networks, runs, history, sharpness, interpolation.
        settings: epsilons (the first is the headline), paper_network, same_data_as_paper.

    Returns:
        One row a claim and network, then `all networks`: claim (1..10), statement, network, verdict
        (yes, no, undecided, not measured), effect, effect_name, unit, low and high (95% interval;
        NaN where none is stated), trials, paper (the paper's own value), basis (one sentence).
    """
    frames = selection.complete(frames)
    settings = on_the_same_data(frames, settings)
    networks = selection.network_names(frames)
    rows = []
    for claim, (statement, rule) in CLAIMS.items():
        found = [{"network": name} | rule(frames, settings, name).row() for name in networks]
        found.append({"network": ALL} | combine(found))
        for row in found:
            reference = None if row["network"] == ALL else row["network"]
            row |= {"claim": claim, "statement": statement}
            row["paper"] = paper_text(claim, reference, settings)
        rows += found
    return pd.DataFrame(rows, columns=COLUMNS)


def headline(claims: pd.DataFrame) -> str:
    """Return the study's verdict in a few plain sentences.

    Args:
        claims: the result of `judge`.
    """
    overall = claims[claims["network"] == ALL].set_index("claim")["verdict"]
    words = {
        YES: "confirmed on every network measured",
        NO: "refuted on every network measured",
        UNDECIDED: "left open, being undecided on some network or answered differently",
        NOT_MEASURED: "not measured",
    }
    counts = []
    for verdict, phrase in words.items():
        numbers = overall.index[overall == verdict].tolist()
        if numbers or verdict in (YES, NO):
            listed = f" ({', '.join(str(number) for number in numbers)})" if numbers else ""
            counts.append(f"{len(numbers)} {'is' if len(numbers) == 1 else 'are'} {phrase}{listed}")
    sentences = [f"Of the paper's ten claims, {', '.join(counts[:-1])} and {counts[-1]}."]
    against = claims[(claims["verdict"] == NO) & claims["claim"].map(overall).ne(NO)]
    if len(against):
        named = ", ".join(f"claim {row.claim} on {row.network}" for row in against.itertuples())
        sentences[0] += f" Refuted on single networks: {named}."
    for claim, describe in ((2, _gap), (3, _ratio)):
        rows = claims[(claims["claim"] == claim) & (claims["network"] != ALL)]
        found = [describe(row) for row in rows.itertuples() if not math.isnan(row.effect)]
        if found:
            lead = "Testing accuracy" if claim == 2 else "Sharpness at the end of training"
            sentences.append(f"{lead}: {'; '.join(found)}.")
    return " ".join(sentences)


def _certainty(row, places: str) -> str:
    if math.isnan(row.low):
        return f"{row.trials} trial{'s' if row.trials != 1 else ''}, no interval"
    return f"95% interval {row.low:{places}} to {row.high:{places}}, {row.trials} pairs"


def _gap(row) -> str:
    side = "below" if row.effect >= 0 else "above"
    text = f"on {row.network} LB lies {abs(row.effect):.2f} points {side} SB"
    return f"{text} (SB - LB: {_certainty(row, '.2f')}; claim 2: {row.verdict})"


def _ratio(row) -> str:
    text = f"on {row.network} that of LB is {row.effect:.3g} times that of SB"
    return f"{text} ({_certainty(row, '.3g')}; claim 3: {row.verdict})"
