# largebatch: small-batch against large-batch training, from data to verdict (Keskar et al. 2017).
#
#   snakemake --cores all                                        the default study, config.yaml
#   snakemake --cores all --configfile studies/mnist.yaml        another study
#   snakemake -n                                                 what would be done, and why

import os
import re
from shlex import quote as shlex_quote

from snakemake.utils import min_version

min_version("9.6")

# --configfile adds to what is loaded here, so the default study must not be there to leak into it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"


rule all:
    default_target: True
    localrule: True
    input:
        [f"{paths.run(STUDY, r.network, r.method, r.trial)}/run.json" for r in plan.runs(CONFIG)],
