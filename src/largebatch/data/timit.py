r"""TIMIT frames and their senones, from a licensed copy prepared by Kaldi (the paper's F2).

Source: Garofolo and others, "TIMIT", LDC93S1, licensed: it is never downloaded. Kaldi's recipe
egs/timit/s5 makes what is read here; `path` is that folder, or a copy of the files named by the
other options. After `run.sh` has come to `exp/tri3_ali` and `exp/tri3/decode_test`:

    steps/align_fmllr.sh --nj 10 data/test data/lang exp/tri3 exp/tri3_ali_test
    steps/nnet/make_fmllr_feats.sh --nj 10 --transform-dir exp/tri3_ali data-fmllr-tri3/train \
        data/train exp/tri3 data-fmllr-tri3/train/log data-fmllr-tri3/train/data
    steps/nnet/make_fmllr_feats.sh --nj 10 --transform-dir exp/tri3/decode_test \
        data-fmllr-tri3/test data/test exp/tri3 data-fmllr-tri3/test/log data-fmllr-tri3/test/data
    for x in tri3_ali tri3_ali_test; do
      ali-to-pdf exp/$x/final.mdl "ark:gunzip -c exp/$x/ali.*.gz |" \
        ark,scp:exp/$x/pdf.ark,exp/$x/pdf.scp
    done

The two make_fmllr_feats lines are the first stage of the recipe's own local/nnet/run_dnn.sh. Other
features of 40 numbers a frame do as well, such as `steps/make_fbank.sh` with --num-mel-bins=40; set
`cmvn` for those. Inputs are nine frames side by side, edges repeated; frames are shuffled within
training and testing (drawn from `seed`). The paper's frame counts (721329 and 310621) need not be
those of the recipe's own split, and another run of Kaldi may have another number of senones:
`hmm-info exp/tri3_ali/final.mdl` tells it.
"""

import os
from pathlib import Path

from largebatch.data.checks import check_integer, first_names, user_path
from largebatch.data.kaldi import read_pairs, read_table
from largebatch.errors import InputError

OPTIONS = {
    "path": None,  # required: the folder egs/timit/s5 of Kaldi, after the commands above
    "train_features": "data-fmllr-tri3/train/feats.scp",  # below path: *.scp, *.ark, *.ark.gz
    "train_alignments": "exp/tri3_ali/pdf.scp",  # pdf ids, not the transition ids of ali.*.gz
    "test_features": "data-fmllr-tri3/test/feats.scp",
    "test_alignments": "exp/tri3_ali_test/pdf.scp",
    "senones": 1973,  # how many ids, as in the paper; null: the highest one found + 1
    # A senone without a frame in training: error, or drop: its frames in testing are left out (no
    # network can know it), and the others are numbered 0, 1, ... in the order of their ids.
    "absent_senones": "error",
    # none: fMLLR features are normalized by Kaldi already, over each speaker; utterance | speaker:
    # mean 0 and variance 1 over each (speakers are read from utt2spk beside the features).
    "cmvn": "none",
    "seed": 0,  # of the order of the frames
}
FEATURES = 40
MOST_SENONES = 1 << 20  # a hundred times what large models have; a table of them is made
_FILES = ("train_features", "train_alignments", "test_features", "test_alignments")
_CHOICES = {"absent_senones": ("error", "drop"), "cmvn": ("none", "utterance", "speaker")}


def check(options: dict) -> None:
    """Raise InputError for a value out of range; files are looked at by `prepare`."""
    if not isinstance(options["path"], str) or not options["path"]:
        raise InputError(
            f"timit.path: {options['path']!r} is not allowed; it must be the folder egs/timit/s5 "
            "of Kaldi's output (TIMIT is licensed and cannot be downloaded)"
        )
    for key in _FILES:
        if not isinstance(options[key], str) or not options[key]:
            raise InputError(f"timit.{key}: {options[key]!r}; it must be the name of a file")
    for key, allowed in _CHOICES.items():
        if options[key] not in allowed:
            raise InputError(f"timit.{key}: {options[key]!r}; it must be {' or '.join(allowed)}")
    if options["senones"] is not None:
        check_integer("timit.senones", options["senones"], 2, MOST_SENONES)
    check_integer("timit.seed", options["seed"], 0)


def prepare(options: dict, fetch) -> dict:
    """Read features and alignments, normalize, splice.

    Args:
        options: see `OPTIONS`.
        fetch: not used.

    Returns:
        float32 inputs (N, 360), int64 targets (N,), `classes`.

    Raises:
        InputError: a file is missing or broken, features and alignments do not fit, a senone is out
            of range, or one has no frame in training (with `absent_senones: error`).
    """
    from largebatch.data.frames import normalize, shuffled, splice

    root = user_path("timit.path", options["path"])
    if not os.path.isdir(root):
        raise InputError(f"timit.path: there is no folder {root}")
    sets = {part: _read(part, options, root) for part in ("train", "test")}
    number = _numbering(sets["train"][1], sets["test"][1], options)
    contents: dict = {"classes": int(number.max()) + 1}
    for place, (part, (frames, senones, utterances)) in enumerate(sets.items()):
        lengths = list(utterances.values())
        if options["cmvn"] != "none":
            normalize(frames, lengths, _groups(part, utterances, options, root))
        targets = number[senones]
        rows = shuffled(len(frames), options["seed"], place)
        rows = rows[targets[rows] >= 0]
        if not len(rows):
            raise InputError(f"timit.absent_senones: no frame is left for {part}ing")
        contents[f"{part}_inputs"] = splice(frames, lengths, rows)
        contents[f"{part}_targets"] = targets[rows]
    return contents


def _read(part: str, options: dict, root: Path):
    """Return float32 frames (N, 40), int64 senones (N,), and each utterance's length in order."""
    import numpy as np

    source, target = (root / options[f"{part}_{kind}"] for kind in ("features", "alignments"))
    alignments = dict(read_table(target, root))
    for utterance, senones in alignments.items():
        limit = options["senones"] or MOST_SENONES
        _check_senones(senones, f"{target}: utterance {utterance}", limit)
    total = sum(map(len, alignments.values()))
    frames, targets = np.empty((total, FEATURES), np.float32), np.empty(total, np.int64)
    utterances: dict[str, int] = {}
    unaligned, filled = [], 0
    for utterance, matrix in read_table(source, root):
        senones = alignments.pop(utterance, None)
        if senones is None:
            unaligned.append(utterance)
            continue
        _check_matrix(matrix, f"{source}: utterance {utterance}", len(senones))
        frames[filled : filled + len(matrix)] = matrix
        targets[filled : filled + len(matrix)] = senones
        filled += len(matrix)
        utterances[utterance] = len(matrix)
    _check_pairing(source, target, unaligned, list(alignments))
    if not filled:
        raise InputError(f"{source}: has no utterances")
    return frames, targets, utterances


def _check_senones(senones, name: str, limit: int) -> None:
    import numpy as np

    if getattr(senones, "dtype", None) != np.int32 or senones.ndim != 1 or not len(senones):
        raise InputError(f"{name}: must be int32, one a frame, at least one (ali-to-pdf writes it)")
    if senones.min() < 0 or senones.max() >= limit:
        wrong = senones.min() if senones.min() < 0 else senones.max()
        raise InputError(
            f"{name}: senone {wrong}; ids must be in 0..{limit - 1} (key "
            "timit.senones; were the alignments written by ali-to-pdf?)"
        )


def _check_matrix(matrix, name: str, frames: int) -> None:
    import numpy as np

    if getattr(matrix, "ndim", 0) != 2 or matrix.dtype.kind != "f" or matrix.shape[1] != FEATURES:
        found = f"{getattr(matrix, 'dtype', 'no')} {list(getattr(matrix, 'shape', []))}"
        raise InputError(f"{name}: {found}; must be a matrix of {FEATURES} features a frame")
    if len(matrix) != frames:
        raise InputError(f"{name}: {len(matrix)} frames, but its alignment has {frames}")
    if not np.isfinite(matrix).all():
        frame = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise InputError(f"{name}: frame {frame} holds NaN or infinity; features must be finite")


def _check_pairing(source: Path, target: Path, unaligned: list[str], unused: list[str]) -> None:
    problems = []
    for names, path, other in ((unaligned, source, target), (unused, target, source)):
        if names:
            problems.append(
                f"{len(names)} utterances of {path} are not in {other}: {first_names(names)}"
            )
    if problems:
        raise InputError("; ".join(problems) + " (utils/filter_scp.pl leaves lines out)")


def _numbering(train, test, options: dict):
    """Return the class of each senone id, -1 for those that are left out."""
    import numpy as np

    count = options["senones"] or int(max(train.max(), test.max())) + 1
    present = np.bincount(train, minlength=count) > 0
    absent = np.flatnonzero(~present)
    if len(absent) and options["absent_senones"] == "error":
        names = first_names([str(senone) for senone in absent])
        raise InputError(
            f"timit.senones: {len(absent)} of {count} have no frame in training ({names}); set it "
            "to the number of pdfs of your model (hmm-info), or absent_senones: drop"
        )
    return np.where(present, present.cumsum() - 1, -1)


def _groups(part: str, utterances: dict[str, int], options: dict, root: Path) -> list[int] | None:
    """Return the group over which each utterance is normalized: its speaker's, or its own."""
    if options["cmvn"] == "utterance":
        return None
    path = (root / options[f"{part}_features"]).with_name("utt2spk")
    speakers = read_pairs(path)
    unknown = [utterance for utterance in utterances if utterance not in speakers]
    if unknown:
        raise InputError(f"{path}: {len(unknown)} utterances are missing: {first_names(unknown)}")
    numbers: dict[str, int] = {}
    return [numbers.setdefault(speakers[name], len(numbers)) for name in utterances]
