"""The study on one self-contained HTML page: verdict, exhibits, settings, provenance."""

from largebatch.report.page import render
from largebatch.report.titles import TITLES

__all__ = ["TITLES", "render"]
