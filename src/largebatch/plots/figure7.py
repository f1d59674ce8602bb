"""Figure 7: loss and accuracy on an arc through the SB and the LB minimizer."""

import pandas as pd
from matplotlib.figure import Figure

from largebatch.plots import style
from largebatch.plots.parametric import draw_path

TABLES = ("networks", "runs", "interpolation")


@style.themed
def draw(frames: dict[str, pd.DataFrame], settings: dict) -> Figure:
    """Draw f(sin(alpha pi/2) x_l + cos(alpha pi/2) x_s) for each network (Appendix D, Figure 7)."""
    return draw_path(frames, settings, "curvilinear", "sin(απ/2) · LB + cos(απ/2) · SB")
