"""Figure 3: loss and accuracy on the straight line through the SB and the LB minimizer."""

import pandas as pd
from matplotlib.figure import Figure

from largebatch.plots import style
from largebatch.plots.parametric import draw_path

TABLES = ("networks", "runs", "interpolation")


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw f(alpha x_l + (1 - alpha) x_s) of one pair of runs for each network (Figure 3)."""
    return draw_path(frames, settings, "linear", "α · LB + (1 − α) · SB")
