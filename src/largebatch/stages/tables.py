"""Stage `tables`: the paper's tables and ours, as CSV with all digits and Markdown for reading."""

from largebatch import analysis
from largebatch.stages import frames
from largebatch.storage import write_csv, write_text


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write each table that is asked for.

    Args:
        spec: settings (see `largebatch.analysis.make_tables`).
        inputs: the tidy tables.
        outputs: table name -> [path of the CSV, path of the Markdown].
    """
    tables = analysis.make_tables(frames.read(inputs), spec["settings"])
    for name, (csv, markdown) in outputs.items():
        write_csv(csv, tables[name])
        text = analysis.to_markdown(analysis.present(name, tables[name]))
        source = f"\n{analysis.SOURCE}\n" if name == "paper" and len(tables[name]) else ""
        write_text(markdown, f"{text}{source}\n")
