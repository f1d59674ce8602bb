"""TIMIT by Kaldi: archives that kaldiio writes, splices by hand, and what is refused."""

import gzip
import io
import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from largebatch.data import check_options, prepare
from largebatch.data.frames import normalize, splice
from largebatch.data.kaldi import read_table
from largebatch.errors import InputError

LENGTHS = {"train": {"fa_1": 5, "mb_2": 2, "fa_3": 7}, "test": {"mc_1": 3, "mc_2": 4}}
OPTIONS = {"senones": 4}


def frames_of(part: str) -> dict[str, np.ndarray]:
    """Feature 40t + k of frame t, plus 1000 for each utterance before."""
    return {
        name: (np.arange(40 * length).reshape(length, 40) + 1000 * place).astype(np.float32)
        for place, (name, length) in enumerate(LENGTHS[part].items())
    }


def senones_of(part: str) -> dict[str, np.ndarray]:
    lengths = LENGTHS[part].items()
    return {name: np.arange(length, dtype=np.int32) % 4 for name, length in lengths}


def write(folder: Path, **changes) -> dict:
    """Write both parts as Kaldi lays them out; return the options. Changes: `train_features`..."""
    for part in LENGTHS:
        tables = {"features": frames_of(part), "alignments": senones_of(part)}
        for kind, table in tables.items():
            table = changes.get(f"{part}_{kind}", table)
            place = folder / check_options("timit", {"path": "."})[f"{part}_{kind}"]
            place.parent.mkdir(parents=True, exist_ok=True)
            kaldiio.save_ark(str(place.with_suffix(".ark")), table, scp=str(place))
    return {**OPTIONS, "path": str(folder)}


def in_order(arrays, part: str):
    """Inputs (N, 9, 40) and targets, put back in the order of the utterances."""
    inputs, targets = getattr(arrays, f"{part}_inputs"), getattr(arrays, f"{part}_targets")
    order = inputs[:, 160].argsort()  # the first feature of the frame itself grows all along
    return inputs[order].reshape(len(order), 9, 40), targets[order]


def test_frames_are_spliced_with_their_neighbours_and_senones(tmp_path):
    arrays = prepare("timit", write(tmp_path))
    assert arrays.classes == 4
    inputs, targets = in_order(arrays, "train")
    assert inputs.shape == (14, 9, 40)
    assert targets.tolist() == [0, 1, 2, 3, 0, 0, 1, 0, 1, 2, 3, 0, 1, 2]
    # By hand, the first feature of each of nine frames; feature 0 of frame t is 40 t.
    assert inputs[0, :, 0].tolist() == [0, 0, 0, 0, 0, 40, 80, 120, 160]
    assert inputs[3, :, 0].tolist() == [0, 0, 40, 80, 120, 160, 160, 160, 160]
    assert inputs[5, :, 0].tolist() == [1000] * 5 + [1040] * 4
    assert inputs[13, :, 0].tolist() == [2080, 2120, 2160, 2200, 2240, 2240, 2240, 2240, 2240]
    assert (inputs[:, :, 39] - inputs[:, :, 0] == 39).all()
    inputs, targets = in_order(arrays, "test")
    assert targets.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert inputs[2, :, 0].tolist() == [0, 0, 0, 40, 80, 80, 80, 80, 80]


def test_frames_are_shuffled_from_the_seed(tmp_path):
    options = write(tmp_path)
    first, again = prepare("timit", options), prepare("timit", options)
    other = prepare("timit", {**options, "seed": 1})
    assert first.train_inputs.numpy().tobytes() == again.train_inputs.numpy().tobytes()
    assert first.train_targets.tolist() == again.train_targets.tolist()
    assert first.train_inputs[:, 160].tolist() != other.train_inputs[:, 160].tolist()
    assert in_order(first, "train")[0].equal(in_order(other, "train")[0])
    rows = first.train_inputs[:, 160].tolist()
    assert rows not in (sorted(rows), sorted(rows, reverse=True))


def test_splicing_chosen_rows_by_hand():
    frames = np.array([[1], [2], [3], [10], [11]], np.float32)
    assert splice(frames, [3, 2], np.array([4, 1])).tolist() == [
        [10, 10, 10, 10, 11, 11, 11, 11, 11],
        [1, 1, 1, 1, 2, 3, 3, 3, 3],
    ]


def test_normalizing_by_hand():
    def frames():
        return np.array([[1, 7], [3, 7], [10, 7], [20, 7]], np.float32)

    own, joint = frames(), frames()
    normalize(own, [2, 2])
    assert own.tolist() == [[-1, 0], [1, 0], [-1, 0], [1, 0]]
    nearly_constant = np.array([[1], [1 + 2**-20]], np.float32)
    normalize(nearly_constant, [2])
    assert abs(nearly_constant).max() < 0.01  # no noise blown up
    normalize(joint, [1, 1, 2], groups=[0, 1, 0])  # 1, 10, 20 together: mean 31/3
    deviation = np.std([1, 10, 20])
    assert joint[:, 0] == pytest.approx(
        [(1 - 31 / 3) / deviation, 0, (10 - 31 / 3) / deviation, (20 - 31 / 3) / deviation],
        abs=1e-6,
    )


@pytest.mark.parametrize("cmvn", ["utterance", "speaker"])
def test_cmvn_over_utterances_or_speakers(tmp_path, cmvn):
    options = {**write(tmp_path), "cmvn": cmvn}
    for part, lengths in LENGTHS.items():
        lines = "".join(f"{name} {name[:2]}\n" for name in lengths)
        (tmp_path / f"data-fmllr-tri3/{part}/utt2spk").write_text(lines)
    inputs = prepare("timit", options).train_inputs[:, 160].double().sort().values
    frames = frames_of("train")
    if cmvn == "speaker":
        groups = [np.concatenate([frames["fa_1"], frames["fa_3"]]), frames["mb_2"]]
    else:
        groups = list(frames.values())
    expected = [(group[:, 0] - group[:, 0].mean()) / group[:, 0].std() for group in groups]
    assert inputs.numpy() == pytest.approx(np.sort(np.concatenate(expected)), abs=1e-5)


def test_cmvn_over_speakers_needs_all_of_them(tmp_path):
    options = {**write(tmp_path), "cmvn": "speaker"}
    with pytest.raises(InputError, match="utt2spk: cannot be read"):
        prepare("timit", options)
    (tmp_path / "data-fmllr-tri3/train/utt2spk").write_text("fa_1 fa\n")
    with pytest.raises(InputError, match="utt2spk: 2 utterances are missing: mb_2, fa_3"):
        prepare("timit", options)


def test_other_files_of_the_same_content_give_the_same_arrays(tmp_path):
    options = write(tmp_path / "a")
    expected = prepare("timit", options)
    # The folder is moved, as absolute names in the script files cannot be; archives, one packed.
    (tmp_path / "a").rename(tmp_path / "b")
    options["path"] = str(tmp_path / "b")
    with pytest.raises(InputError, match=r"pdf\.scp: utterance fa_1: no file '.*/a/exp/tri3_ali"):
        prepare("timit", options)
    ark = tmp_path / "b" / "exp/tri3_ali/pdf.ark"
    ark.with_suffix(".ark.gz").write_bytes(gzip.compress(ark.read_bytes()))
    ark.unlink()
    options |= {
        "train_alignments": "exp/tri3_ali/pdf.ark.gz",
        "test_alignments": "exp/tri3_ali_test/pdf.ark",
        "train_features": "data-fmllr-tri3/train/feats.ark",
        "test_features": str(tmp_path / "b" / "data-fmllr-tri3/test/feats.ark"),
    }
    arrays = prepare("timit", options)
    assert arrays.train_inputs.equal(expected.train_inputs)
    assert arrays.test_targets.equal(expected.test_targets)


def test_relative_names_are_looked_up_from_the_path_then_beside_the_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("root/exp/a.ark", "root/exp/b.ark"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        kaldiio.save_ark(name, {"u": np.array([len(name), name.count("b")], np.int32)})
    Path("root/exp/ali.scp").write_text("first exp/a.ark:2\nsecond b.ark:2\n")
    monkeypatch.chdir("/")
    found = dict(read_table(tmp_path / "root/exp/ali.scp", tmp_path / "root"))
    assert {name: value.tolist() for name, value in found.items()} == {
        "first": [14, 0],
        "second": [14, 1],
    }


def test_compressed_and_double_matrices_are_read(tmp_path):
    matrix = frames_of("train")["fa_3"]
    kaldiio.save_ark(str(tmp_path / "c.ark"), {"u": matrix}, compression_method=2)
    kaldiio.save_ark(str(tmp_path / "d.ark"), {"u": matrix.astype(np.float64)})
    assert next(read_table(tmp_path / "c.ark", tmp_path))[1] == pytest.approx(matrix, abs=2)
    assert (next(read_table(tmp_path / "d.ark", tmp_path))[1] == matrix).all()


def test_bytes_as_kaldi_writes_them(tmp_path):
    ids = (
        b"ali \0B\x04"
        + struct.pack("<i", 3)
        + b"".join(b"\x04" + struct.pack("<i", k) for k in (5, 0, 9))
    )
    matrix = b"fea \0BFM \x04" + struct.pack("<i", 2) + b"\x04" + struct.pack("<i", 1)
    (tmp_path / "t.ark").write_bytes(ids + matrix + struct.pack("<2f", 1.5, -2))
    found = dict(read_table(tmp_path / "t.ark", tmp_path))
    assert found["ali"].dtype == np.int32
    assert found["ali"].tolist() == [5, 0, 9]
    assert found["fea"].tolist() == [[1.5], [-2.0]]


@pytest.mark.parametrize(
    "entry",
    [
        "touch {made}; cat x.ark |",
        "touch {made} |",
        "| touch {made}",
        "cat x.ark:5|",
        "-",
        "-:5",
        "ark:-",
        "ark,t:x.ark",
        "scp:x.scp",
        "x.ark:5[0:1]",
    ],
)
def test_commands_and_streams_are_refused_and_not_run(tmp_path, entry):
    made = tmp_path / "made"
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"u": np.zeros(2, np.int32)})
    entry = entry.format(made=made)
    (tmp_path / "t.scp").write_text(f"good x.ark:2\nevil {entry}\n")
    with pytest.raises(InputError, match=r"utterance evil: .* is (a command|not allowed)"):
        next(read_table(tmp_path / "t.scp", tmp_path))
    assert not made.exists()


def test_pickles_are_not_loaded(tmp_path):
    # What pickle would run: open(made, "w").
    made = tmp_path / "made"
    evil = f"cbuiltins\nopen\n(V{made}\nVw\ntR.".encode()
    (tmp_path / "t.ark").write_bytes(b"evil PKL" + evil)
    (tmp_path / "t.scp").write_text("evil t.ark:5\n")
    for name in ("t.ark", "t.scp"):
        with pytest.raises(InputError, match=r"evil.*: no binary Kaldi value"):
            list(read_table(tmp_path / name, tmp_path))
    assert not made.exists()
    kaldiio.matio.read_kaldi(io.BytesIO(b"PKL" + evil))  # so the check above is needed
    assert made.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u \0B\x04\x02\0\0\0\x04\0\0", "utterance 'u': broken or truncated"),
        (b"u \0BFM \x04\x02\0\0\0\x04\x02\0\0\0abcd", "utterance 'u': broken or truncated"),
        (b"u \0BXX \x04\x02\0\0\0", "utterance 'u': broken or truncated"),
        (b"u  [ 1 2 3 ]\n", "utterance 'u': no binary Kaldi value .* text archives"),
        (b"\xff\xfe \0B\x04\0\0\0\0", "not a binary Kaldi archive"),
        (b"u \0B\x04\0\0\0\0" * 2, "utterance u is there twice"),
    ],
    ids=["short vector", "short matrix", "unknown type", "text", "no text key", "twice"],
)
def test_a_broken_archive_is_refused(tmp_path, content, message):
    (tmp_path / "t.ark").write_bytes(content)
    with pytest.raises(InputError, match=f"t.ark: .*{message}|t.ark: {message}"):
        list(read_table(tmp_path / "t.ark", tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.scp", b"u\n", "line 1, 'u', must be: utterance, space, value"),
        ("t.scp", b"u a:1\nu b:1\n", "line 2, 'u b:1', is there twice"),
        ("t.scp", b"u no.ark:1\n", "utterance u: no file 'no.ark'; relative names"),
        ("t.scp", b"\xff\n", "cannot be read as text"),
        ("t.ark.gz", b"not gzip", "cannot be unpacked"),
        ("t.txt", b"", "must be a Kaldi table"),
        ("t.scp", None, "there is no such file"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}"):
        list(read_table(tmp_path / name, tmp_path))


def changed(part: str, kind: str, **utterances) -> dict:
    """The change of one table: utterances replaced, added, or (None) left out."""
    table = {"features": frames_of, "alignments": senones_of}[kind](part) | utterances
    kept = {name: value for name, value in table.items() if value is not None}
    return {f"{part}_{kind}": kept}


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


BAD = np.zeros((5, 40), np.float32)
BAD[3, 7] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            changed("train", "alignments", fa_1=None),
            "1 utterances of .*feats.scp are not in .*fa_1",
        ),
        (changed("test", "features", mc_2=None), "1 utterances of .*pdf.scp are not in .*: mc_2"),
        (changed("train", "alignments", mb_2=ids(0)), "mb_2: 2 frames, but its alignment has 1"),
        (changed("train", "alignments", mb_2=ids(0, 4)), r"mb_2: senone 4; ids .* in 0\.\.3 "),
        (changed("test", "alignments", mc_1=ids(0, -1, 2)), "mc_1: senone -1; ids must"),
        (changed("train", "alignments", mb_2=ids()), "mb_2: must be int32"),
        (changed("train", "alignments", mb_2=np.zeros(2, np.float32)), "mb_2: must be int32"),
        (changed("train", "features", mb_2=BAD[:2, :39]), r"mb_2: float32 \[2, 39\]; must be"),
        (changed("train", "features", mb_2=ids(1, 2)), r"mb_2: int32 \[2\]; must be a matrix"),
        (changed("train", "features", fa_1=BAD), "fa_1: frame 3 holds NaN"),
        ({"train_features": {}, "train_alignments": {}}, "train/feats.scp: has no utterances"),
    ],
)
def test_features_and_alignments_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        prepare("timit", write(tmp_path, **changes))


def test_many_unaligned_utterances_are_counted(tmp_path):
    more = {f"x{number}": np.zeros((1, 40), np.float32) for number in range(8)}
    with pytest.raises(InputError, match=r"8 utterances of .*: x0, x1, x2, x3, x4 and 3 more"):
        prepare("timit", write(tmp_path, **changed("train", "features", **more)))


def test_a_senone_without_training_frames_is_an_error_or_left_out(tmp_path):
    train = {name: np.where(ids == 1, 3, ids) for name, ids in senones_of("train").items()}
    train = {name: value.astype(np.int32) for name, value in train.items()}
    options = write(tmp_path, train_alignments=train) | {"senones": 6}
    with pytest.raises(InputError, match=r"senones: 3 of 6 .* \(1, 4, 5\); set it .* drop"):
        prepare("timit", options)
    with pytest.raises(InputError, match=r"senones: 1 of 4 have no frame in training \(1\)"):
        prepare("timit", options | {"senones": None})
    arrays = prepare("timit", options | {"absent_senones": "drop"})
    assert arrays.classes == 3  # senones 0, 2, 3
    assert in_order(arrays, "train")[1].tolist() == [0, 2, 1, 2, 0, 0, 2, 0, 2, 1, 2, 0, 2, 1]
    inputs, targets = in_order(arrays, "test")
    assert targets.tolist() == [0, 1, 0, 1, 2]
    # The frames left out are still neighbours.
    assert inputs[0, 4:7, 0].tolist() == [0, 40, 80]


def test_missing_places_are_named(tmp_path):
    with pytest.raises(InputError, match=r"timit.path: there is no folder .*nowhere"):
        prepare("timit", {"path": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match=r"exp/tri3_ali/pdf\.scp: there is no such file"):
        prepare("timit", {"path": str(tmp_path)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "timit.path: None .* egs/timit/s5 .* licensed"),
        ({"path": "x", "cmvn": "global"}, "timit.cmvn: 'global'; .* none or utterance or speaker"),
        ({"path": "x", "absent_senones": None}, "timit.absent_senones: None; .* error or drop"),
        ({"path": "x", "senones": 1}, r"timit.senones: 1 .* in 2\.\."),
        ({"path": "x", "test_features": 3}, "timit.test_features: 3; .* name of a file"),
        ({"path": "x", "seed": -1}, "timit.seed: -1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        check_options("timit", options)
