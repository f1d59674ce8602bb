"""How evidence becomes a verdict: the same rule for every claim, in both directions.

A claim has one or more parts. Each part is one quantity per trial, its mean (or geometric mean) and
its 95% Student interval over paired trials, held against a bound:

- `yes`: the whole interval lies on the claimed side;
- `no`: the whole interval lies on the other side;
- `undecided`: the interval contains the bound; or there is no interval (one trial); or a trial
  that could not be averaged because its value is infinite lies on the side that the interval
  denies;
- `not measured`: no trial has the quantity; the part says why.

A rank correlation that is the same in all trials has no interval: there `yes` and `no` take a
permutation test (see `statistics`) that is significant on that side at the one-sided level of 2.5%,
which is the level of each end of an interval.

The claim is `no` if any part is, else `not measured` if any part is, `yes` if all parts are, else
`undecided`. So one trial never decides: it cannot show what another starting point would give.
An `Either` is a part made of alternatives: `yes` if any of them is, `no` if all are.
"""

import math
from dataclasses import dataclass

import pandas as pd

from largebatch.analysis.statistics import LEVEL, Estimate

YES, NO, UNDECIDED, NOT_MEASURED = "yes", "no", "undecided", "not measured"
SIGNIFICANT = (1 - LEVEL) / 2 + 1e-9  # one-sided; 1 in 40 exactly is significant


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Part:
    """One quantity of a claim and where the claim says it lies.

    Args:
        name: what the quantity is, as it reads in a sentence.
        estimate: its value and interval over trials.
        low, high: the claimed range; None where it is open.
        strict: whether the bound itself is outside the claim (`> 1` rather than `>= 1`).
        unit: unit of the value, such as `points`; empty for ratios and correlations.
        lacking: why no trial has the quantity, in numbers; empty where one has it.
    """

    name: str
    estimate: Estimate
    low: float | None = None
    high: float | None = None
    strict: bool = True
    unit: str = ""
    lacking: str = ""

    @property
    def trials(self) -> int:
        """Return the number of trials that say anything."""
        return self.estimate.trials

    @property
    def verdict(self) -> str:
        """Return yes, no, undecided or not measured, by the rule of this module."""
        found = self.estimate
        if not found.trials:
            return NOT_MEASURED
        if found.tails is not None:
            return self._by_tails(*found.tails)
        if found.low is None:
            return UNDECIDED
        inside = self._beyond(found.low, self.low) and self._beyond(self.high, found.high)
        contrary = (self.low is not None and found.below) or (self.high is not None and found.above)
        if inside:
            return UNDECIDED if contrary else YES
        under = self.low is not None and found.high < self.low and not found.above
        over = self.high is not None and found.low > self.high and not found.below
        return NO if under or over else UNDECIDED

    def _by_tails(self, below: float, above: float) -> str:
        """Decide a quantity that is 0 without any relation, and claimed on one side of 0."""
        claimed, contrary = (above, below) if self.low is not None else (below, above)
        if claimed <= SIGNIFICANT:
            return YES
        return NO if contrary <= SIGNIFICANT else UNDECIDED

    def _beyond(self, larger: float | None, smaller: float | None) -> bool:
        if larger is None or smaller is None:
            return True
        return larger > smaller if self.strict else larger >= smaller

    @property
    def text(self) -> str:
        """Return the part as a piece of a sentence: name, value, interval, verdict."""
        found = self.estimate
        if not found.trials:
            undefined = f"undefined in {_trials(found.undefined)}" if found.undefined else ""
            reason = self.lacking or undefined
            return f"{self.name}: not measured" + (f" ({reason})" if reason else "")
        unit = f" {self.unit}" if self.unit else ""
        shown = f"{self.name} {found.value:.4g}{unit}" if found.count else self.name
        if found.low is not None:
            shown += f" (95% interval {found.low:.4g} to {found.high:.4g})"
        if found.tails is not None:
            below, above = found.tails
            shown += (
                f" in every one of {_trials(found.count)}, so no interval (permutation test: "
                f"p = {below:.2g} for so low, {above:.2g} for so high a sum)"
            )
        for count, side in ((found.above, "+"), (found.below, "-")):
            if count:
                shown += f", {count} of {found.trials} trials at {side}infinity on the log scale"
        if found.undefined:
            shown += f", undefined in {_trials(found.undefined)}"
        return f"{shown}, claimed {self._claimed}: {self.verdict}"

    @property
    def _claimed(self) -> str:
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"above {self.low:g}" if self.strict else f"at least {self.low:g}"
        return f"below {self.high:g}" if self.strict else f"at most {self.high:g}"


@dataclass(frozen=True)
class Either:
    """Alternatives of which one suffices; the first one gives the effect size.

    Args:
        parts: the alternatives.
    """

    parts: tuple[Part, ...]

    @property
    def verdict(self) -> str:
        """Return yes if any alternative says so, no if all do."""
        verdicts = {part.verdict for part in self.parts}
        if YES in verdicts:
            return YES
        return verdicts.pop() if len(verdicts) == 1 else UNDECIDED

    @property
    def trials(self) -> int:
        """Return the trials of the alternative that has fewest."""
        return min(part.trials for part in self.parts)

    @property
    def estimate(self) -> Estimate:
        """Return the estimate of the first alternative."""
        return self.parts[0].estimate

    @property
    def lacking(self) -> str:
        """Return why the first alternative has not been measured."""
        return self.parts[0].lacking

    @property
    def text(self) -> str:
        """Return the alternatives as a piece of a sentence."""
        return f"either {', or '.join(part.text for part in self.parts)} (together {self.verdict})"


@dataclass(frozen=True)
class Finding:
    """What one network says on one claim.

    Args:
        parts: the parts that decide; the first one gives the effect size.
        basis: which runs and quantities these are (start of a sentence).
        failed: runs that were left out because they failed, by name and status.
        refutable: indices of the parts whose `no` makes the claim `no`; another part's `no` leaves
            it undecided. None: all of them.
    """

    parts: tuple[Part | Either, ...]
    basis: str
    failed: tuple[str, ...] = ()
    refutable: tuple[int, ...] | None = None

    @property
    def verdict(self) -> str:
        """Return the verdict of the parts together."""
        verdicts = [part.verdict for part in self.parts]
        refutable = range(len(verdicts)) if self.refutable is None else self.refutable
        if any(verdicts[index] == NO for index in refutable):
            return NO
        if NOT_MEASURED in verdicts:
            return NOT_MEASURED
        return YES if set(verdicts) == {YES} else UNDECIDED

    @property
    def trials(self) -> int:
        """Return the number of trials of the part that has fewest."""
        return min(part.trials for part in self.parts)

    @property
    def sentence(self) -> str:
        """Return what the verdict rests on, in one sentence."""
        texts = [part.text for part in self.parts]
        reasons = dict.fromkeys(part.lacking for part in self.parts)
        if not any(part.trials for part in self.parts) and all(reasons):
            texts = [f"not measured, for {'; '.join(reasons)}"]  # once, not for every part
        pieces = [f"{self.basis}: " + "; ".join(texts)]
        if self.trials == 1:
            pieces.append("one trial, so no interval is stated and nothing is decided")
        if self.failed:
            pieces.append("left out: " + ", ".join(self.failed))
        return "; ".join(pieces) + "."

    def row(self) -> dict:
        """Return the columns verdict, effect, effect_name, unit, low, high, trials, basis."""
        first = self.parts[0]
        found = first.estimate
        return {
            "verdict": self.verdict,
            "effect": found.value if found.count else math.nan,
            "effect_name": first.name,
            "unit": first.unit,
            "low": math.nan if found.low is None else found.low,
            "high": math.nan if found.high is None else found.high,
            "trials": self.trials,
            "basis": self.sentence,
        }


def combine(rows: list[dict]) -> dict:
    """Return the columns of `Finding.row` for all networks together.

    `yes` if every network on which the claim was measured says yes, `no` if every one of these says
    no, otherwise `undecided`;
    `not measured` if none is measured. There is no effect size across networks.

    Args:
        rows: the networks' rows, with the keys network, verdict, trials.
    """
    measured = [row for row in rows if row["verdict"] != NOT_MEASURED]
    verdicts = {row["verdict"] for row in measured}
    verdict = verdicts.pop() if len(verdicts) == 1 else UNDECIDED if measured else NOT_MEASURED
    groups = []
    for name in (YES, NO, UNDECIDED, NOT_MEASURED):
        members = [row["network"] for row in rows if row["verdict"] == name]
        if members:
            groups.append(f"{name}: {', '.join(members)}")
    empty = {"effect": math.nan, "effect_name": "", "unit": "", "low": math.nan, "high": math.nan}
    trials = int(pd.Series([row["trials"] for row in measured], dtype=float).sum())
    basis = "Networks by verdict: " + "; ".join(groups) + "."
    return {"verdict": verdict} | empty | {"trials": trials, "basis": basis}
