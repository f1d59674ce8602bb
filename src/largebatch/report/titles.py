"""The exhibits' titles, for the page and for `snakemake --report`."""

TITLES = {
    "figure_gap": "At a glance: accuracy and sharpness",
    "figure1": "Figure 1: flat and sharp minima, a sketch",
    "figure2": "Figure 2: accuracy by epoch",
    "figure3": "Figure 3: loss and accuracy on the line from SB to LB",
    "figure4": "Figure 4: accuracy and sharpness by batch size",
    "figure5": "Figure 5: large batches after a warm start with small ones",
    "figure6": "Figure 6: sharpness while the training loss falls",
    "figure7": "Figure 7: loss and accuracy on an arc from SB to LB",
    "figure_c": "Appendix C: when large batches save time",
    "figure_bias": "Decentralized training: the bias of momentum",
    "table1": "Table 1: networks and data",
    "table2": "Table 2: training and testing accuracy",
    "table3": "Table 3: sharpness in the full space",
    "table4": "Table 4: sharpness in random subspaces",
    "distances": "Distances from the start",
    "appendix_c": "Appendix C: break-even parallel efficiency",
    "claims": "The ten claims",
    "convergence": "The end of training",
    "paper": "This study and the published values",
    "failures": "Failed runs",
}
