# What all rules share: the checked config, the bridge to the library, each stage's source files.

import json
import sys

import yaml
from largebatch import codefiles, paths, plan
from largebatch.config import architecture, check_made, complete
from largebatch.data.registry import check_options
from largebatch.errors import InputError
from largebatch.report.titles import TITLES
from snakemake.exceptions import WorkflowError

with open(workflow.source_path("../schemas/config.schema.yaml")) as stream:
    SCHEMA = yaml.safe_load(stream)
try:
    CONFIG = complete(config, SCHEMA)
    DATASET_OPTIONS = {}
    for name, entry in CONFIG["datasets"].items():
        options = {key: value for key, value in entry.items() if key != "source"}
        DATASET_OPTIONS[name] = check_options(entry["source"], options)
        check_made(name, entry["source"], DATASET_OPTIONS[name])
except InputError as error:
    raise WorkflowError(f"The study cannot be run:\n{error}")

STUDY = CONFIG["study"]
# Relative paths, so that a project that is moved or copied has nothing to do again.
WORKFLOW = os.path.relpath(os.path.join(workflow.basedir, "workflow"))
PACKAGE = os.path.relpath(codefiles.PACKAGE)
# What the report shows; paths of this machine and who computes are no part of the study.
PUBLIC_CONFIG = {k: v for k, v in CONFIG.items() if k not in ("mirror", "downloads", "device")}
EPSILONS = CONFIG["sharpness"]["epsilons"]
HEADLINE = plan.headline(CONFIG)
# The Python that runs Snakemake also runs the jobs, whether or not its venv is activated. Where the
# files of data sets lie is told by the environment: it does not change what is computed.
EXPORTS = {"LARGEBATCH_DOWNLOADS": CONFIG["downloads"]}
if CONFIG["mirror"]:
    EXPORTS["LARGEBATCH_MIRROR"] = CONFIG["mirror"]
exports = [f"PATH={shlex_quote(os.path.dirname(sys.executable))}:$PATH"]
exports += [f"{name}={shlex_quote(value)}" for name, value in EXPORTS.items()]
shell.prefix(f"set -euo pipefail; export {' '.join(exports)}; ")


wildcard_constraints:
    network="|".join(re.escape(name) for name in CONFIG["networks"]),
    dataset="|".join(re.escape(name) for name in CONFIG["datasets"]),
    trial=r"\d+",
