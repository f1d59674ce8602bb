"""The study on one self-contained HTML page: verdict, exhibits, settings, provenance."""

from largebatch.report.page import render

__all__ = ["render"]
