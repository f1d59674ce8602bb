"""Archives of studies: the same bytes each time, verified file by file, unpacked with distrust."""

import json
import stat
import zipfile
from pathlib import Path

import finished
import pytest
import yaml

from largebatch.cli import main
from largebatch.config import complete
from largebatch.errors import InputError
from largebatch.stages import archive, packing, verify

ROOT = Path(__file__).parents[2]
SPEC = finished.SPEC | {"config": {"study": "tiny", "title": "a: 'b' é"}, "weights": False}
FILE = "reports/tiny/tiny.zip"
LIMIT = 10**9


@pytest.fixture(autouse=True)
def _study(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    finished.study()


def packed(**changes) -> str:
    archive.run(SPEC | changes, {}, {"archive": FILE})
    return FILE


def refused(path=FILE, folder=None, limit=LIMIT) -> str:
    with pytest.raises(InputError) as caught:
        packing.verify(path, limit, folder)
    return str(caught.value)


def rewritten(change, manifest=None) -> str:
    """Pack the study, then write its members again as `change(name, bytes)` -> members says."""
    packed()
    with zipfile.ZipFile(FILE) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile("bad.zip", "w") as new:
        for name, content in members:
            if name == "manifest.json" and manifest is not None:
                content = json.dumps(manifest(json.loads(content))).encode()
            for member, data in change(name, content):
                new.writestr(member, data)
    return "bad.zip"


def same(name, content):
    return [(name, content)]


def test_an_archive_has_the_study_without_data_and_weights():
    packed()
    with zipfile.ZipFile(FILE) as made:
        names = set(made.namelist())
        assert yaml.safe_load(made.read("results/tiny/config.yaml")) == SPEC["config"]
    run = "results/tiny/runs/F/sb/trial0"
    assert {f"{run}/history.csv", f"{run}/run.json", f"{run}/provenance.json"} <= names
    assert {"reports/tiny/index.html", "results/tiny/gathered/runs.csv"} <= names
    assert {"results/tiny/checked/F.d.json", "reports/tiny/tables/table1.csv"} <= names
    assert not [name for name in names if name.endswith(".safetensors")]
    with_weights = packed(weights=True)
    weights = [n for n in zipfile.ZipFile(with_weights).namelist() if n.endswith(".safetensors")]
    assert len(weights) == 5 * 2  # first and last of each run; no iterates, no data


def test_the_same_study_gives_the_same_bytes():
    first = Path(packed()).read_bytes()
    for path in Path("results").rglob("*"):
        path.touch()
    assert Path(packed()).read_bytes() == first


def test_a_broken_study_is_not_packed():
    Path("results/tiny/runs/F/sb/trial0/history.csv").write_text("epoch\n")
    with pytest.raises(
        InputError, match=r"nothing is packed: .*1 problem .*\n.*history.csv: is not"
    ):
        packed()
    assert not Path(FILE).exists()


@pytest.mark.parametrize("weights", [False, True])
def test_another_machine_verifies_and_unpacks(tmp_path, monkeypatch, capsys, weights):
    path = str(Path(packed(weights=weights)).resolve())
    home = Path.cwd()
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    assert main(["verify-archive", path]) == 0
    assert "the study tiny is intact" in capsys.readouterr().out
    assert list(Path().iterdir()) == []
    assert main(["verify-archive", path, "--unpack", "."]) == 0
    for file in zipfile.ZipFile(path).namelist():
        if file not in ("manifest.json", "results/tiny/config.yaml"):
            assert Path(file).read_bytes() == (home / file).read_bytes()
    times = {p.stat().st_mtime for p in Path().rglob("*") if p.is_file()}
    assert len(times) == 1  # nothing looks older than what it was made from
    verify.run(finished.SPEC, {}, {"report": "r.md"})
    assert "left out of the archive" in Path("r.md").read_text()
    assert main(["verify-archive", path, "--unpack", "."]) == 0  # the same files: no harm
    Path("reports/tiny/index.html").write_text("mine")
    assert main(["verify-archive", path, "--unpack", "."]) == 1
    assert "index.html: is there already and is not the archive's" in capsys.readouterr().err
    assert Path("reports/tiny/index.html").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        *("../../evil.py", "/etc/evil", "results/tiny/../../Snakefile", "Snakefile"),
        *("results/tiny/..\\..\\evil", "results/other/run.json", "C:/evil", "results/tiny/.git"),
        *("results//tiny/a", "results/tiny/a\nb", "reports/published/mnist/claims.csv"),
        *("results/tiny", "results/tiny/~x", "results/tiny/a/./b"),
    ],
)
def test_names_outside_of_the_studys_folders_are_refused(name, tmp_path):
    entry = {"sha256": "", "bytes": 4}
    path = rewritten(
        lambda n, c: [(n, c), (name, b"evil")] if n == "manifest.json" else [(n, c)],
        lambda m: m | {"files": m["files"] | {name: entry}},
    )
    text = refused(path, "out")
    assert "lies outside of the study's folders" in text
    assert repr(name) in text
    assert not Path("out").exists()


def _linked(kind):
    def change(name, content):
        if not name.endswith("table1.csv"):
            return [(name, content)]
        member = zipfile.ZipInfo(name)
        member.external_attr = (kind | 0o777) << 16
        return [(member, b"/etc/passwd")]

    return change


@pytest.mark.parametrize(
    ("change", "manifest", "told"),
    [
        (_linked(stat.S_IFLNK), None, "is a link, folder or device"),
        (_linked(stat.S_IFIFO), None, "is a link, folder or device"),
        (lambda n, c: [(n, c[:-1] + b"?" if n.endswith("1.csv") else c)], None, "was changed"),
        (lambda n, c: [(n, c + b"?" if n.endswith("1.csv") else c)], None, "its manifest says"),
        (lambda n, c: [] if n.endswith("1.csv") else [(n, c)], None, "not in both"),
        (lambda n, c: [(n, c), (n + "x", c)], None, "not in both"),
        (lambda n, c: [] if n == "manifest.json" else [(n, c)], None, "has no manifest.json"),
        (same, lambda m: m | {"format": "2"}, "is not of the format"),
        (same, lambda m: m | {"study": "../x"}, "is not of the format"),
        (same, lambda m: m | {"study": "published"}, "is not of the format"),
        (same, lambda m: m | {"files": dict.fromkeys(m["files"], 1)}, "is not of the format"),
        (same, lambda m: [m], "is not of the format"),
    ],
)
def test_an_altered_archive_is_refused_before_anything_is_unpacked(change, manifest, told):
    text = refused(rewritten(change, manifest), "out")
    assert told in text
    assert text.startswith("bad.zip: ")
    assert len(text.splitlines()) == 1
    assert not Path("out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused():
    assert "twice" in refused(rewritten(lambda n, c: [(n, c), (n, c)]))


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_holds():
    zeros = b"\0" * 10**7
    name = "results/tiny/zeros.bin"
    Path(name).write_bytes(zeros)
    packing.pack("bomb.zip", {"study": "tiny", "weights": False, "left_out": {}}, {name: name})
    assert Path("bomb.zip").stat().st_size < 50_000
    assert "unpacks to 0.01 GB; 0.005 GB are allowed (--max-gb)" in refused("bomb.zip", limit=5e6)
    # A central directory that says less than the member holds: never more is read than it says.
    content = Path("bomb.zip").read_bytes()
    lie = content.replace((10**7).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lie != content
    Path("lie.zip").write_bytes(lie)
    assert "zeros.bin has 100 bytes, its manifest says 10000000" in refused("lie.zip")


@pytest.mark.parametrize("size", [0, 1, 21, 500, -1, -30])
def test_half_an_archive_is_refused(size):
    content = Path(packed()).read_bytes()
    Path("half.zip").write_bytes(content[:size])
    assert refused("half.zip").startswith("half.zip: ")


def test_flipped_bytes_are_found_wherever_they_are():
    content = Path(packed()).read_bytes()
    undetected = 0
    for place in range(40, len(content), len(content) // 60):
        broken = bytearray(content)
        broken[place] ^= 0xFF
        Path("flipped.zip").write_bytes(broken)
        try:
            packing.verify("flipped.zip", LIMIT, "out")
        except InputError:
            continue
        undetected += 1
        # Only what says nothing of the contents may be flipped unseen (times, local copies).
        for name, entry in json.loads(zipfile.ZipFile(FILE).read("manifest.json"))["files"].items():
            assert packing.sha256(Path("out", name)) == entry["sha256"]
    assert undetected < 30


def test_nothing_is_unpacked_through_a_link_in_the_folder():
    packed()
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/results").symlink_to(Path("elsewhere").resolve())
    assert "nothing is unpacked through links" in refused(folder="out")
    assert list(Path("elsewhere").iterdir()) == []


def test_a_completed_config_is_a_config(tmp_path):
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    for path in (ROOT / "config.yaml", *ROOT.glob("studies/*.yaml")):
        done = complete(yaml.safe_load(path.read_text()), schema)
        assert complete(yaml.safe_load(yaml.safe_dump(done)), schema) == done
