"""Stage `figure`: draw one figure in three formats."""

import importlib

from largebatch.plots import style
from largebatch.stages import frames


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write the figure as svg, png and pdf, the same bytes for the same tables.

    Args:
        spec: figure (a module of `largebatch.plots`) and settings.
        inputs: the tidy tables that the figure reads.
        outputs: svg, png, pdf.
    """
    # By name, so that editing one figure's file redraws that figure only.
    module = importlib.import_module(f"largebatch.plots.{spec['figure']}")
    figure = module.draw(frames.read(inputs, module.TABLES), spec["settings"])
    style.save(figure, **{kind: outputs[kind] for kind in ("svg", "png", "pdf")})
