"""Stage `archive`: a finished study in one file, to be verified and drawn again elsewhere."""

from pathlib import Path

import yaml

from largebatch import __version__, paths
from largebatch.errors import InputError
from largebatch.stages.packing import pack
from largebatch.stages.verify import complaint, examine


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Verify the study, then pack config, tables, figures, histories, measurements and records.

    Left out are converted data, iterates and, unless asked for, weights; the manifest has their
    digests.

    Args:
        spec: what `verify.examine` reads, config (without paths of this machine), and weights:
            whether first and last weights of each run are packed.
        outputs: archive.

    Raises:
        InputError: a file of the study is missing or broken.
    """
    study, found = spec["study"], examine(spec)
    if found.problems:
        raise InputError(f"nothing is packed: {complaint(study, found, 'see snakemake verify')}")
    packed = [p for p in found.digests if p not in found.absent and _wanted(p, spec["weights"])]
    kept = {*packed, *found.records}
    kept |= {str(p) for p in Path("results", study, "checked").glob("*.json")}
    manifest = {
        "study": study,
        "largebatch": __version__,
        "weights": spec["weights"],
        "left_out": {p: d for p, d in sorted(found.digests.items()) if p not in kept},
    }
    config = yaml.safe_dump(spec["config"], sort_keys=False, allow_unicode=True)
    contents = {path: path for path in kept} | {paths.config(study): config.encode()}
    pack(outputs["archive"], manifest, contents)
    size = Path(outputs["archive"]).stat().st_size
    print(f"{outputs['archive']}: {len(contents)} files, {size / 1e6:.3g} MB")


def _wanted(path: str, weights: bool) -> bool:
    place = Path(path)
    if place.suffix != ".safetensors":
        return True
    return weights and place.parent.name != "epochs" and not path.startswith("results/data/")
