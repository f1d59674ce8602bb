# What all rules share: the checked config, the bridge to the library, each stage's source files.

import json
import sys

import yaml
from largebatch import codefiles, paths, plan
from largebatch.architectures import architecture
from largebatch.data.registry import module_of
from largebatch.errors import InputError
from largebatch.remedies import remedies_of
from largebatch.report.titles import TITLES
from largebatch.runtime import has_nvidia_gpu
from largebatch.study import check
from largebatch.usercode import is_user
from snakemake.exceptions import WorkflowError

with open(workflow.source_path("../schemas/config.schema.yaml")) as stream:
    SCHEMA = yaml.safe_load(stream)
# Snakemake's own templates run Python that is written in a config. Here `module:function` alone does.
for path in workflow.overwrite_configfiles:
    if "__use_yte__" in open(path, encoding="utf-8").read():
        raise WorkflowError(
            f"The study cannot be run:\n{path}: __use_yte__; code in a study is not allowed, code of "
            "your own is named as module:function"
        )
try:
    CONFIG, DATASET_OPTIONS = check(config, SCHEMA)
except InputError as error:
    raise WorkflowError(f"The study cannot be run:\n{error}")

STUDY = CONFIG["study"]
# Relative paths, so that a project that is moved or copied has nothing to do again.
WORKFLOW = os.path.relpath(os.path.join(workflow.basedir, "workflow"))
PACKAGE = os.path.relpath(codefiles.PACKAGE)
# What the report shows; paths of this machine and who computes are no part of the study.
PRIVATE = ("mirror", "downloads", "device", "keep_iterates")
PUBLIC_CONFIG = {key: value for key, value in CONFIG.items() if key not in PRIVATE}
EPSILONS = CONFIG["sharpness"]["epsilons"]
HEADLINE = plan.headline(CONFIG)
ARMS = CONFIG["remedies"]["arms"]
TUNED = set(plan.tuned(CONFIG))
# Large-batch methods with remedies, as a wildcard's pattern; the last never matches.
ARM = "|".join(map(re.escape, ARMS)) or "(?!)"
# The Python that runs Snakemake also runs the jobs, whether or not its venv is activated. Where the
# files of data sets lie is told by the environment: it does not change what is computed.
EXPORTS = {"LARGEBATCH_DOWNLOADS": CONFIG["downloads"]}
if CONFIG["mirror"]:
    EXPORTS["LARGEBATCH_MIRROR"] = CONFIG["mirror"]
exports = [f"PATH={shlex_quote(os.path.dirname(sys.executable))}:$PATH"]
exports += [f"{name}={shlex_quote(value)}" for name, value in EXPORTS.items()]
# Braces are doubled: Snakemake would put the Snakefile's variables in their place, unquoted.
PREFIX = f"set -euo pipefail; export {' '.join(exports)}; "
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


# A GPU a job where there is one; `resources` of the profile says how many there are on this machine.
GPU = int(CONFIG["device"] == "cuda" or (CONFIG["device"] == "auto" and has_nvidia_gpu()))
# Iterates are for the warm starts and Figure 6 only: gigabytes in the paper's study.
ITERATES = directory if CONFIG["keep_iterates"] else lambda path: temp(directory(path))


wildcard_constraints:
    network="|".join(re.escape(name) for name in CONFIG["networks"]),
    dataset="|".join(re.escape(name) for name in CONFIG["datasets"]),
    trial=r"\d+",
