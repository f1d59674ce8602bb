"""The look of all figures: one theme, one palette, and files that are equal byte for byte."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from largebatch.storage import atomic

# Colours keep their meaning in every figure and differ for colour-blind readers too.
_COLOURS = sns.color_palette("colorblind").as_hex()
SB, LB = _COLOURS[0], _COLOURS[3]  # blue, vermilion
METHOD_COLOURS = {"sb": SB, "lb": LB}
METHOD_LABELS = {"sb": "small batch (SB)", "lb": "large batch (LB)"}
ACCURACY, SHARPNESS, LOSS = "#00785a", "#8c3f86", "#2b2b2b"  # green, purple, near black
MUTED, WARNING = "#5c5c5c", "#9c2a00"
TRAIN_STYLE, TEST_STYLE = "-", (0, (4, 2))
SMALL = 8.5  # points; the figures are shown at about 90 pixels an inch

_PARAMETERS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same shapes on every machine
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "largebatch",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "savefig.dpi": 180,
}
# Without these, each file would hold the date and the version of matplotlib.
_METADATA = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def theme() -> Iterator[None]:
    """Use the theme inside the block, whatever matplotlibrc says; restore the state after it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**sns.axes_style("ticks"), **_PARAMETERS})
        yield


def themed(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make a function draw inside the theme."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with theme():
            return draw(*args, **kwargs)

    return wrapper


def save(
    figure: Figure,
    svg: str | Path | None = None,
    png: str | Path | None = None,
    pdf: str | Path | None = None,
) -> None:
    """Write a figure in the formats for which a path is given; equal figures give equal bytes.

    Args:
        figure: made by one of the `draw` functions; its layout is fixed by the first call.
        svg: path of the vector file for web pages; text is stored as shapes.
        png: path of the pixel file, 180 dots an inch.
        pdf: path of the vector file for papers.
    """
    with theme():
        # One layout for all formats; each format would otherwise work out its own, which is slow.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for kind, path in (("svg", svg), ("png", png), ("pdf", pdf)):
            if path is not None:
                with atomic(path) as temporary:
                    figure.savefig(temporary, format=kind, metadata=_METADATA[kind])
