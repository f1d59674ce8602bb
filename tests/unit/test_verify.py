"""`verify`: what was changed, lost or made elsewhere is found in a study that is all there."""

import json
import shutil
from pathlib import Path

import finished
import pytest

from largebatch.errors import InputError
from largebatch.provenance import digests
from largebatch.stages import verify

RUN = "results/tiny/runs/F/lb/trial1"
REPORT = "reports/tiny/verification.md"


@pytest.fixture(autouse=True)
def _study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished.study()


def refusal(**changes) -> str:
    with pytest.raises(InputError) as caught:
        verify.run(finished.SPEC | changes, {}, {"report": REPORT})
    *lines, advice = str(caught.value).splitlines()
    assert advice.startswith(f"{verify.ADVICE}: ")
    assert [line for line in lines[1:] if line not in _rows()] == []
    return "\n".join(lines)


def _rows() -> list[str]:
    """The report's problems, as the error tells them."""
    table = [line.split(" | ") for line in Path(REPORT).read_text().splitlines() if "` | " in line]
    return [f"{cells[0].strip('|` ')}: {cells[1].strip('| ')}" for cells in table]


def edit(path: str, **changes) -> None:
    content = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(content | changes))


def test_a_whole_study_is_what_its_records_say(capsys):
    verify.run(finished.SPEC, {}, {"report": REPORT})
    files = [p for top in ("results", "reports") for p in Path(top).rglob("*") if p.is_file()]
    own = ("provenance.json", "verification.md", "F.d.json")
    covered = [path for path in files if not path.name.endswith(own)]
    assert f"{len(covered)} files are what their" in capsys.readouterr().out
    text = Path(REPORT).read_text()
    assert text.startswith("# Verification of tiny: everything is as recorded\n")
    assert "None: all jobs have the same" in text


@pytest.mark.parametrize(
    "file",
    [
        *(f"{RUN}/{name}" for name in ("start.safetensors", "history.csv", "run.json")),
        f"{RUN}/epochs/epoch0001.safetensors",
        "results/tiny/sharpness/F/b8/trial0/full_eps0.001.json",
        "results/tiny/interpolation/F/linear/trial1.csv",
        "results/data/d/arrays.safetensors",
        "results/tiny/gathered/runs.csv",
        "reports/tiny/tables/table1.csv",
    ],
)
def test_a_byte_more_and_a_file_less_are_found(file):
    content = Path(file).read_bytes()
    Path(file).write_bytes(content + b" ")
    assert refusal().splitlines()[1:] == [f"{file}: is not what its record says: it was changed"]
    Path(file).write_bytes(content[:-1])
    assert f"{file}: is not what its record says" in refusal()
    Path(file).unlink()
    assert refusal().splitlines()[1:] == [f"{file}: missing"]
    assert "has 1 problem " in refusal()


def test_records_that_are_lost_or_broken_are_found():
    path = Path(f"{RUN}/provenance.json")
    path.unlink()
    text = refusal()
    assert f"{path}: missing: a job has not ended" in text
    assert f"{RUN}/final.safetensors: no record has its digest" in text
    path.write_text("{")
    assert f"{path}: cannot be read as JSON" in refusal()
    path.write_text('{"outputs": []}')
    assert f"{path}: is no provenance record" in refusal()


def test_a_file_that_no_record_covers_is_found():
    path = f"{RUN}/provenance.json"
    outputs = json.loads(Path(path).read_text())["outputs"]
    edit(path, outputs={name: files for name, files in outputs.items() if name != "history"})
    assert f"{RUN}/history.csv: no record has its digest" in refusal()
    edit(path, outputs=outputs)
    finished.weights(f"{RUN}/epochs/epoch0009.safetensors")
    Path(f"{RUN}/epochs/.snakemake_timestamp").touch()
    assert refusal().splitlines()[1:] == [
        f"{RUN}/epochs/epoch0009.safetensors: no record has its digest"
    ]


def test_iterates_that_were_deleted_after_use_are_no_loss():
    for folder in Path("results/tiny/runs").rglob("epochs"):
        shutil.rmtree(folder)
    verify.run(finished.SPEC | {"keep_iterates": False}, {}, {"report": REPORT})
    assert "15 files are absent on purpose: an iterate" in Path(REPORT).read_text()
    assert "has 15 problems" in refusal(keep_iterates=True)


def test_a_measurement_of_other_weights_is_found():
    finished.weights(f"{RUN}/final.safetensors", **{"0.bias": finished.WEIGHTS["0.bias"] + 1})
    files = json.loads(Path(f"{RUN}/provenance.json").read_text())["outputs"]
    edit(f"{RUN}/provenance.json", outputs={k: digests(list(v)) for k, v in files.items()})
    told = refusal().splitlines()[1:]
    assert len(told) == 2  # the full space, and the subspaces
    assert all(f"was made from another version of {RUN}/final.safetensors" in t for t in told)


def test_results_from_elsewhere_are_named_and_are_no_error(capsys):
    edit(f"{RUN}/provenance.json", commit={"hash": "def", "dirty": True}, threads=2)
    edit("results/tiny/derived/page.provenance.json", versions={"python": "3.11", "torch": "2.14"})
    sharpness = "results/tiny/sharpness/F/lb/trial1/full.provenance.json"
    edit(sharpness, device={"cpu": "fast", "gpu": "H100"})
    verify.run(finished.SPEC, {}, {"report": REPORT})
    out = capsys.readouterr().out.splitlines()
    assert f"commit: abc, but def with uncommitted changes in {RUN}/provenance.json" in out
    assert f"threads: 1, but 2 in {RUN}/provenance.json" in out
    assert "torch: 2.13.0, but 2.14 in results/tiny/derived/page.provenance.json" in out
    assert f"gpu: none, but H100 in {sharpness}" in out
    assert f"| torch | 2.13.0 | 2.14 | `{'results/tiny/derived/page.provenance.json'}` |" in (
        Path(REPORT).read_text()
    )


def test_a_record_of_a_run_that_is_no_part_of_the_study_is_told():
    finished.training("results/tiny/runs/F/b99/trial0")
    verify.run(finished.SPEC, {}, {"report": REPORT})
    assert "- `results/tiny/runs/F/b99/trial0/provenance.json`" in Path(REPORT).read_text()


def test_an_empty_path_is_not_the_whole_working_directory():
    # `tuned=` of a study that tunes nothing: each run's record held every file of the project.
    assert digests("") == {}
    assert digests(["", f"{RUN}/run.json"]).keys() == {f"{RUN}/run.json"}


def test_a_record_with_the_whole_working_directory_as_input_says_nothing():
    path = f"{RUN}/provenance.json"
    stale = {".snakemake/log": "0", "results/tiny/runs/F/sb/trial0/history.csv": "an older one"}
    edit(path, inputs={"tuned": stale})
    verify.run(finished.SPEC, {}, {"report": REPORT})
