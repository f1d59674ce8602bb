"""Stage `claims`: the verdict on the paper's ten claims."""

from largebatch import analysis
from largebatch.stages import frames
from largebatch.storage import write_csv, write_text


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write claims.csv and claims.md.

    Args:
        spec: settings (see `largebatch.analysis.judge`).
        inputs: the tidy tables.
        outputs: csv, markdown.
    """
    claims = analysis.judge(frames.read(inputs), spec["settings"])
    write_csv(outputs["csv"], claims)
    text = analysis.to_markdown(analysis.present("claims", claims))
    write_text(outputs["markdown"], f"{analysis.headline(claims)}\n\n{text}\n")
