"""From tidy tables to the paper's tables, statistics and the verdict on its ten claims."""

from largebatch.analysis.claims import headline, judge
from largebatch.analysis.paper_numbers import SOURCE, published
from largebatch.analysis.present import present, to_markdown
from largebatch.analysis.remedies_headline import remedies_headline
from largebatch.analysis.tables import make_tables

__all__ = [
    "SOURCE",
    "headline",
    "judge",
    "make_tables",
    "present",
    "published",
    "remedies_headline",
    "to_markdown",
]
