"""What a remedied arm is, in words, and whether Appendix E of the paper speaks of it."""

from largebatch.remedies import SLOTS

NAMES = {
    "ghost_batchnorm": "ghost batch normalization",
    "lars": "LARS",
    "lamb": "LAMB",
    "adversarial": "adversarial training",
    "stability": "stability training",
    "conadv": "ConAdv",
    "sam": "SAM",
    "conservative": "conservative training",
    "decentralized": "decentralized SGD",
    "scaling": "rate scaling",
    "legw": "LEGW",
    "autowu": "AutoWU",
    "growth": "batch growth",
    "warm_start": "warm start",
    "averaging": "weight averaging",
}
OWN, CARRIED = "their own remedy", "carried over"


def arms(settings: dict) -> dict[str, dict[str, dict]]:
    """Return arm -> {remedy: options}, in the order of the study; nothing in one without arms."""
    return settings.get("remedies", {}).get("arms", {})


def words(remedies: dict[str, dict], training: dict | None = None) -> str:
    """Return an arm's remedies with their options as a phrase, options that are null left out.

    Args:
        remedies: name -> options; other keys of an arm are passed over.
        training: settings of the arm that replace the study's.
    """
    texts = [NAMES.get(n, n) + _options(remedies[n]) for n in SLOTS if n in remedies]
    if training:
        texts.append(f"own training{_options(training)}")
    return " + ".join(texts) or "nothing"


def statement_of(remedies: dict[str, dict], keskar: list[str]) -> str:
    """Return whether Keskar et al. said of this very remedy that the minimizer stays sharp.

    Args:
        remedies: an arm's; only an arm of a single one can be theirs.
        keskar: the remedies of their Appendix E.
    """
    return OWN if len(remedies) == 1 and set(remedies) <= set(keskar) else CARRIED


def _options(options: dict | None) -> str:
    texts = [
        f"{name.replace('_', ' ')} {_value(value)}"
        for name, value in (options or {}).items()
        if value is not None
    ]
    return f" ({', '.join(texts)})" if texts else ""


def _value(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        inner = [f"{k.replace('_', ' ')} {_value(v)}" for k, v in value.items() if v is not None]
        return " ".join(inner)
    if isinstance(value, (list, tuple)):
        return "/".join(_value(entry) for entry in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
