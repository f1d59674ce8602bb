"""Stages refuse what is not what its record says; records are sealed."""

import json
from pathlib import Path

import finished
import pytest

from largebatch.__main__ import main
from largebatch.errors import InputError
from largebatch.provenance import Recorder, digests
from largebatch.records import read_record, recorded_digest, refuse_changed
from largebatch.stages import gather, verify
from largebatch.storage import sha256, write_json

RUN = "results/tiny/runs/F/sb/trial1"


@pytest.fixture(autouse=True)
def _study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished.study()


def test_every_file_of_a_study_is_found_in_its_record():
    found = verify.examine(finished.SPEC)
    assert len(found.digests) > 40
    for path, digest in found.digests.items():
        assert recorded_digest(path) == (found.records_of[path], digest)
    refuse_changed(found.digests)
    assert recorded_digest("elsewhere/final.safetensors") == (None, None)


def test_the_runs_of_one_job_of_warm_starts_share_its_record():
    other = "results/tiny/runs/F/warm2/trial1/run.json"
    finished.write(other, {})
    content = json.loads(Path(RUN, "provenance.json").read_text())
    content["outputs"]["run"][other] = sha256(other)
    write_json(f"{RUN}/provenance.json", content)
    assert recorded_digest(other) == (f"{RUN}/provenance.json", sha256(other))


@pytest.mark.parametrize(
    "file",
    [
        f"{RUN}/final.safetensors",
        f"{RUN}/epochs/epoch0001.safetensors",
        "results/data/d/arrays.safetensors",
        "results/tiny/interpolation/F/linear/trial1.csv",
        "results/tiny/gathered/runs.csv",
        "reports/tiny/tables/table1.csv",
    ],
)
def test_a_stage_refuses_a_changed_input_in_one_line(file, capsys):
    record = recorded_digest(file)[0]
    Path(file).write_bytes(Path(file).read_bytes()[:-1])
    given = Path(file).parent if "epochs" in file else file  # a stage is given the whole folder
    assert main(["sharpness", "--in", f"a={given}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"largebatch sharpness: {file}: is not what its record {record} says")
    assert told.endswith(f"makes it again: snakemake --cores all --force {record}\n")
    assert told.count("\n") == 1


def test_an_iterate_that_is_lost_is_not_one_that_never_was():
    folder = f"{RUN}/epochs"
    Path(folder, "epoch0002.safetensors").unlink()
    with pytest.raises(InputError, match=r"epoch0002\.safetensors: is missing; `snakemake verify`"):
        refuse_changed(digests(folder))


def test_tables_are_not_gathered_from_changed_results():
    path = f"{RUN}/history.csv"
    Path(path).write_text(finished.HISTORY.replace("0.625", "0.525"))
    with pytest.raises(InputError, match=rf"{path}: is not what its record"):
        gather.run(finished.PLAN, {}, {})


def test_any_byte_of_a_record_is_sealed(tmp_path):
    path = tmp_path / "provenance.json"
    outputs = {"data": "results/data/d/arrays.safetensors"}
    record = Recorder().record("train", {"seed": 1, "rate": 0.1}, {}, outputs, 1)
    write_json(path, record)
    assert read_record(path) == record
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(bytes(changed))
        with pytest.raises(InputError, match=str(path)):
            read_record(path)


def test_verify_says_what_makes_the_broken_files_again(capsys):
    path = Path(f"{RUN}/run.json")
    path.write_text("{}")
    Path("results/tiny/gathered/runs.csv").unlink()
    spec = finished.SPEC | {"configfiles": ["my studies/a.yaml"]}
    with pytest.raises(InputError) as caught:
        verify.run(spec, {}, {"report": "report.md"})
    call = "snakemake --cores all --configfile 'my studies/a.yaml' --force"
    command = f"{call} {RUN}/provenance.json"
    command += f" && {call} results/tiny/derived/gather.provenance.json"
    assert str(caught.value).splitlines()[-1] == f"{verify.ADVICE}: {command}"
    assert f"\n    {command}\n" in Path("report.md").read_text()
