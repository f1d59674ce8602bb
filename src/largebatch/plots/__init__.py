"""Tidy tables in, figures out: one file a figure, each with `draw(frames, settings)` and `TABLES`.

Nothing is imported here, so that editing one figure redraws that figure only.
"""

FIGURES = (
    *("figure1", "figure2", "figure3", "figure4", "figure5", "figure6", "figure7"),
    *("figure_gap", "figure_c"),
)
# Of studies with remedied arms.
REMEDY_FIGURES = (
    *("figure_remedies_shares", "figure_remedies", "figure_remedies_paths", "figure_rates"),
)
